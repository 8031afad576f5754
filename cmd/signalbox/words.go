package main

import (
	"os"
	"strings"
)

// words picks the language of what is printed for people.
type words struct{ zh bool }

// wordsFor reads zh, en or auto, which looks at the environment.
func wordsFor(lang string) words {
	if lang != "auto" {
		return words{zh: lang == "zh"}
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			return words{zh: strings.HasPrefix(v, "zh")}
		}
	}
	return words{}
}

// of gives the one of two texts that is in the user's language.
func (w words) of(en, zh string) string {
	if w.zh {
		return zh
	}
	return en
}
