package gateway

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzDecoded(f *testing.F) {
	for _, path := range []string{"/a", "/a%20b", "/a%3Fb", "/a%252Fb", "/a%25b", "", "a", "/%ff", "/%", "%2F"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, ok := decoded(path)
		if ok && (!strings.HasPrefix(got, "/") || !utf8.ValidString(got)) {
			t.Errorf("%q: %q", path, got)
		}
		if plain := !strings.ContainsAny(path, "%?"); ok && plain && got != path {
			t.Errorf("%q, with nothing to decode: %q", path, got)
		}
	})
}

// What net/url can read, this reads as net/url does; and it reads the rest.
func FuzzQuery(f *testing.F) {
	for _, raw := range []string{"", "a=1&a=2", "a=b=c", "a+b=%2B", "a;b=1", "%zz=1&&=x", "&"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got := query(raw)
		if want, err := url.ParseQuery(raw); err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, want %v", raw, got, want)
		}
	})
}
