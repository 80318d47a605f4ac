package boathook

import (
	"slices"
	"time"
)

// AppType is what an app of Capawesome Cloud is built with.
type AppType string

// Capacitor is the type of an app that is made without one.
const Capacitor AppType = "capacitor"

// AppTypes lists them all, as Capawesome Cloud's SDKs do.
var AppTypes = []AppType{"android", Capacitor, "cordova", "ios"}

// Valid reports whether t is one of [AppTypes].
func (t AppType) Valid() bool { return slices.Contains(AppTypes, t) }

// AppSettings are what an app has besides what every source has.
type AppSettings struct {
	Type      AppType
	UpdatedAt time.Time
}

// AppSettings are the source's, which is an app. One that was stored before apps
// had any has the default ones.
func (s Source) AppSettings() AppSettings {
	if s.App == nil {
		return AppSettings{Type: Capacitor, UpdatedAt: s.CreatedAt}
	}
	return *s.App
}
