package main

import (
	"syscall"
	"time"
)

// sleep is as exact as the kernel's timers. The runtime's wait for the network, by which
// [time.Sleep] wakes on an idle machine, counts in milliseconds.
func sleep(d time.Duration) {
	if d > 0 {
		t := syscall.NsecToTimespec(int64(d))
		_ = syscall.Nanosleep(&t, nil) // a signal cuts it short: then one event is early
	}
}
