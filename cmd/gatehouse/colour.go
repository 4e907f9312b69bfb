package main

import (
	"io/fs"
	"os"
	"slices"
	"strings"
)

// coloured says whether a file is a terminal and its user has not switched colours off (no-color.org).
func coloured(f *os.File, environment []string) bool {
	if slices.ContainsFunc(environment, func(e string) bool {
		return strings.HasPrefix(e, "NO_COLOR=") && e != "NO_COLOR=" || e == "TERM=dumb"
	}) {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// The colours of a report, as SGR parameters (ECMA-48).
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	faint  = "2"
)

// paint colours text, where colours are wanted.
func (s stdio) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
