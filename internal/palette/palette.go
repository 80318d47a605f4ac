// Package palette derives the colours of a page from one accent: links, tints and
// buttons, on light pages and on dark ones, each with a contrast that can be read.
package palette

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"boathook/internal/boathook"
)

// Readable is the least contrast of text with what is behind it: level AA of WCAG 2.2,
// success criterion 1.4.3.
const Readable = 4.5

// The surfaces on which an accent is text: those of the console's stylesheet.
var (
	Light = []string{"#ffffff", "#f6f8f8", "#f1f4f5"}
	Dark  = []string{"#111517", "#0c0f11", "#161b1e", "#1b2125"}
)

// Pair is a colour on light pages and in its place on dark ones, as "#7a2d63".
type Pair struct{ Light, Dark string }

// Palette are the colours that follow from an accent.
type Palette struct {
	Accent    Pair // text
	Soft      Pair // behind such text
	Fill      Pair // behind white text
	FillHover Pair // the same, under the pointer
}

// How much of the accent is in what follows from it.
const (
	softShare = 0.09
	darkSoft  = 0.18
	hover     = 0.16
	lively    = 7 // the contrast that an accent for dark pages is given
	solid     = 5 // the least contrast of white with a button's colour on dark pages
)

// New derives a palette. Without a colour for dark pages one is made of the accent. The
// error names "accent" or "accent_dark": it is no colour, or can't be read.
func New(accent, dark string) (p Palette, err error) {
	a, err := read("accent", accent)
	if err != nil {
		return p, err
	}
	if c, on := worst(a, Light); c < Readable {
		return p, unreadable("accent", "light", "darker", c, on)
	}
	var d colour
	if dark == "" {
		d = towards(a, white, func(c colour) bool { least, _ := worst(c, Dark); return least >= lively })
	} else if d, err = read("accent_dark", dark); err != nil {
		return p, err
	} else if c, on := worst(d, Dark); c < Readable {
		return p, unreadable("accent_dark", "dark", "lighter", c, on)
	}
	fill := a
	for share := 0.02; share <= 0.4; share += 0.02 {
		if next := mix(a, white, share); contrast(next, white) >= solid {
			fill = next
		}
	}
	return Palette{
		Accent:    Pair{a.String(), d.String()},
		Soft:      Pair{soft(a, parsed(Light[0]), softShare).String(), soft(d, parsed(Dark[0]), darkSoft).String()},
		Fill:      Pair{a.String(), fill.String()},
		FillHover: Pair{mix(a, black, hover).String(), mix(fill, black, hover).String()},
	}, nil
}

// CSS sets the custom properties of the console's stylesheet.
func (p Palette) CSS() string {
	var b strings.Builder
	b.WriteString(":root{")
	for _, v := range []struct {
		name string
		pair Pair
	}{{"accent", p.Accent}, {"accent-soft", p.Soft}, {"fill", p.Fill}, {"fill-hover", p.FillHover}} {
		fmt.Fprintf(&b, "--%s:light-dark(%s,%s);", v.name, v.pair.Light, v.pair.Dark)
	}
	b.WriteString("}\n")
	return b.String()
}

// Contrast is the contrast ratio of two colours, from 1 to 21, as WCAG 2.2 defines it.
func Contrast(a, b string) float64 { return contrast(parsed(a), parsed(b)) }

func unreadable(field, pages, remedy string, c float64, on string) error {
	return boathook.InvalidField(field, "has a contrast of %.2f:1 with %s on %s pages, and needs %.1f:1: choose a %s colour",
		math.Floor(c*100)/100, on, pages, Readable, remedy)
}

// colour has red, green and blue from 0 to 1, as sRGB has them.
type colour [3]float64

var white, black = colour{1, 1, 1}, colour{}

func read(field, text string) (colour, error) {
	c, ok := parse(text)
	if !ok {
		return c, boathook.InvalidField(field, "must be a colour as #7a2d63: a number sign and six hexadecimal digits")
	}
	return c, nil
}

func parse(text string) (c colour, ok bool) {
	if len(text) != 7 || text[0] != '#' {
		return c, false
	}
	n, err := strconv.ParseUint(text[1:], 16, 32)
	for i := range c {
		c[i] = float64(n>>(16-8*i)&0xff) / 0xff
	}
	return c, err == nil
}

// parsed is a colour of this package's own.
func parsed(text string) colour {
	c, _ := parse(text)
	return c
}

func (c colour) String() string {
	var b [3]byte
	for i := range c {
		b[i] = byte(math.Round(c[i] * 0xff))
	}
	return fmt.Sprintf("#%02x%02x%02x", b[0], b[1], b[2])
}

// rounded is a colour as it is written.
func (c colour) rounded() colour { return parsed(c.String()) }

func mix(a, b colour, share float64) (c colour) {
	for i := range c {
		c[i] = a[i]*(1-share) + b[i]*share
	}
	return c.rounded()
}

// towards goes from a colour to another until it is good.
func towards(from, to colour, good func(colour) bool) colour {
	for share := 0.0; share < 1; share += 0.02 {
		if c := mix(from, to, share); good(c) {
			return c
		}
	}
	return to
}

// soft tints a surface with a colour as far as the colour can be read on it.
func soft(c, surface colour, share float64) colour {
	tint := mix(surface, c, share)
	return towards(tint, surface, func(tint colour) bool { return contrast(c, tint) >= Readable })
}

// worst is the least contrast of a colour with surfaces, and with which.
func worst(c colour, surfaces []string) (least float64, on string) {
	least = math.Inf(1)
	for _, s := range surfaces {
		if with := contrast(c, parsed(s)); with < least {
			least, on = with, s
		}
	}
	return least, on
}

func contrast(a, b colour) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// luminance is the relative luminance, by WCAG 2.2.
func (c colour) luminance() float64 {
	var linear colour
	for i, v := range c {
		if v <= 0.04045 {
			linear[i] = v / 12.92
		} else {
			linear[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}
