package lambdaruntime

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuOf is the processor time that a process that runs has used. 0 if it runs no more.
func cpuOf(pid int) time.Duration {
	// The clock of another process's processor time, as clock_getcpuclockid(3) makes it
	// of a pid: the lowest three bits say which clock, of a whole process (CPUCLOCK_SCHED
	// in include/linux/posix-timers_types.h).
	const processClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|processClock, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
