package console_test

import "testing"

func TestEachPageCanBeParsed(t *testing.T) {
	if err := newSite(t).console.Parse(); err != nil {
		t.Error(err)
	}
}
