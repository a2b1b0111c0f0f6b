package idserver

import "strings"

// maxUserAgent limits how much of a User-Agent is looked at, in bytes.
const maxUserAgent = 512

// families are browsers by what their User-Agent has in it. The first that fits counts: most claim to be several.
var families = []struct{ mark, name string }{
	{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
	{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
}

// systems are what browsers run on, in the same way.
var systems = []struct{ mark, name string }{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
}

// browserFamily returns the family of a browser and its system, such as "Firefox on Windows", by its User-Agent; what is not
// known is left out. Nothing of the User-Agent itself is in it: that one tells people apart.
func browserFamily(userAgent string) string {
	if len(userAgent) > maxUserAgent {
		userAgent = userAgent[:maxUserAgent]
	}
	family, system := "", ""
	for _, f := range families {
		if strings.Contains(userAgent, f.mark) {
			family = f.name
			break
		}
	}
	for _, s := range systems {
		if strings.Contains(userAgent, s.mark) {
			system = s.name
			break
		}
	}
	if family == "" || system == "" {
		return family + system
	}
	return family + " on " + system
}
