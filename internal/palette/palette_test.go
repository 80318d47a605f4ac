package palette_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"boathook/internal/boathook"
	"boathook/internal/palette"
)

// The ratios that WCAG's own examples and checkers give.
func TestContrastIsThatOfWCAG(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want float64
	}{{"#000000", "#ffffff", 21}, {"#ffffff", "#ffffff", 1}, {"#767676", "#ffffff", 4.54}, {"#777777", "#ffffff", 4.48}, {"#0000ff", "#ffffff", 8.59}} {
		if got := palette.Contrast(tt.a, tt.b); math.Abs(got-tt.want) > 0.005 || got != palette.Contrast(tt.b, tt.a) {
			t.Errorf("%s on %s: %.3f, not %.2f", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestTheSurfacesAreThoseOfTheStylesheet(t *testing.T) {
	css, err := os.ReadFile("../console/assets/style.css")
	if err != nil {
		t.Fatal(err)
	}
	var light, dark []string
	for _, name := range []string{"bg", "sunk", "raised", "hover"} {
		_, rest, ok := strings.Cut(string(css), "\n--"+name+":light-dark(")
		pair, _, closed := strings.Cut(rest, ")")
		l, d, both := strings.Cut(pair, ",")
		if !ok || !closed || !both {
			t.Fatalf("--%s is not found", name)
		}
		if l == "#fff" {
			l = "#ffffff"
		}
		if name != "raised" { // which is the page's on light pages
			light = append(light, l)
		}
		dark = append(dark, d)
	}
	if fmt.Sprint(light) != fmt.Sprint(palette.Light) || fmt.Sprint(dark) != fmt.Sprint(palette.Dark) {
		t.Errorf("they are %v and %v", light, dark)
	}
}

// Every accent that is taken can be read wherever it stands.
func TestWhatFollowsFromAnAccentCanBeRead(t *testing.T) {
	taken, refused := 0, 0
	for r := 0; r < 256; r += 15 {
		for g := 0; g < 256; g += 15 {
			for b := 0; b < 256; b += 15 {
				accent := fmt.Sprintf("#%02x%02x%02x", r, g, b)
				p, err := palette.New(accent, "")
				if boathook.IsKind(err, boathook.Invalid) {
					refused++
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				taken++
				if p.Accent.Light != accent {
					t.Fatalf("%s is shown as %s", accent, p.Accent.Light)
				}
				for _, pair := range []struct{ text, behind string }{
					{p.Accent.Light, p.Soft.Light}, {p.Accent.Dark, p.Soft.Dark},
					{"#ffffff", p.Fill.Light}, {"#ffffff", p.Fill.Dark}, {"#ffffff", p.FillHover.Light}, {"#ffffff", p.FillHover.Dark},
				} {
					if c := palette.Contrast(pair.text, pair.behind); c < palette.Readable {
						t.Errorf("of %s: %s on %s has %.2f", accent, pair.text, pair.behind, c)
					}
				}
				for text, surfaces := range map[string][]string{p.Accent.Light: palette.Light, p.Accent.Dark: palette.Dark} {
					for _, behind := range surfaces {
						if c := palette.Contrast(text, behind); c < palette.Readable {
							t.Errorf("of %s: %s on %s has %.2f", accent, text, behind, c)
						}
					}
				}
			}
		}
	}
	if taken < 500 || refused < 500 {
		t.Errorf("%d are taken and %d refused", taken, refused)
	}
}

func TestWhatCanNotBeReadIsRefusedByItsField(t *testing.T) {
	for _, tt := range []struct{ accent, dark, want string }{
		{"#777777", "", "accent: has a contrast of 4.05:1 with #f1f4f5 on light pages, and needs 4.5:1: choose a darker colour"},
		{"#7a2d63", "#7a2d63", "accent_dark: has a contrast of 1.84:1 with #1b2125 on dark pages, and needs 4.5:1: choose a lighter colour"},
		{"7a2d63", "", "accent: must be a colour as #7a2d63"}, {"#7a2d6", "", "accent: must be"}, {"#7a2d6g", "", "accent: must be"},
		{"", "", "accent: must be"}, {"red", "", "accent: must be"}, {"#7a2d63", "pink", "accent_dark: must be"}, {"#+a2d63", "", "accent: must be"},
	} {
		if _, err := palette.New(tt.accent, tt.dark); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s, %s: %v", tt.accent, tt.dark, err)
		}
	}
}

func TestTheStylesheetHasFourColours(t *testing.T) {
	p, err := palette.New("#7a2d63", "#e0a2cd")
	if err != nil {
		t.Fatal(err)
	}
	css := p.CSS()
	if !strings.HasPrefix(css, ":root{--accent:light-dark(#7a2d63,#e0a2cd);--accent-soft:light-dark(#") || strings.Count(css, "light-dark(") != 4 {
		t.Error(css)
	}
}
