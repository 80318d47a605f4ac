package main

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"boathook/internal/testing/localaws"
)

func TestWhatAnInvocationPrintsIsItsOwnHoweverLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(new(localaws.Template))
		m.invoked(localaws.Invocation{Function: "IntakeFunction"})
		const line = `{"msg":"trigger accepted"}` + "\n"
		go func() {
			time.Sleep(time.Second)
			io.WriteString(m.log("IntakeFunction"), line)
		}()
		for _, want := range []float64{platformLines + 3*lineOverhead + float64(len(line)-1) + lineOverhead, 0} {
			used, err := m.take(t.Context())
			if got := used["IntakeFunction"].LogBytes; err != nil || got != want {
				t.Errorf("%g bytes, %v; want %g", got, err, want)
			}
		}
	})
}

func TestALastLineIsNotWaitedForForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(new(localaws.Template))
		m.invoked(localaws.Invocation{Function: "ManageFunction"}) // prints none
		if _, err := m.take(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.invoked(localaws.Invocation{Function: "DeliverFunction"})
		io.WriteString(m.log("DeliverFunction"), `{"msg":"batch"}`+"\n")
		if _, err := m.take(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestACallWithoutAPriceFails(t *testing.T) {
	for _, call := range []localaws.Call{
		{From: "DeliverFunction", Service: "DynamoDB", Action: "TransactWriteItems", Status: 200},
		{From: "DeliverFunction", Service: "execute-api", Action: "PostToConnection", Status: 200},
	} {
		m := newMeter(new(localaws.Template))
		m.called(call)
		if _, err := m.take(t.Context()); err == nil {
			t.Errorf("%s costs nothing", call.Action)
		}
	}
}
