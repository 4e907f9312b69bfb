package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	level := strings.Repeat("/l", 11)
	for _, c := range []struct{ address, want, fault string }{
		{address: "ssm:/gatehouse/prod", want: "ssm:/gatehouse/prod"},
		{address: "ssm:/a", want: "ssm:/a"},
		{address: "ssm:/A-b_c.9", want: "ssm:/A-b_c.9"},
		{address: "ssm:" + level, want: "ssm:" + level},
		{address: "ssm:/" + strings.Repeat("x", maxName-maxKey-2), want: "ssm:/" + strings.Repeat("x", maxName-maxKey-2)},
		{address: "file:/a/../b//c/", want: "file:/b/c"},
		{address: "file:x/y", want: "file:" + filepath.Join(wd, "x/y")},
		{address: "file:a:b", want: "file:" + filepath.Join(wd, "a:b")},
		{address: "", fault: `store "": is neither "ssm:/NAME" nor "file:DIR"`},
		{address: "/gatehouse", fault: "neither"},
		{address: "s3:/x", fault: "neither"},
		{address: "SSM:/x", fault: "neither"},
		{address: "ssm", fault: `has no name that begins with "/"`},
		{address: "ssm:", fault: `has no name that begins with "/"`},
		{address: "ssm:/", fault: `has no name that begins with "/"`},
		{address: "ssm:gatehouse", fault: `has no name that begins with "/"`},
		{address: "ssm:/a/", fault: "empty level"},
		{address: "ssm://a", fault: "empty level"},
		{address: "ssm:/a//b", fault: "empty level"},
		{address: "ssm:/a/../b", fault: `".."`},
		{address: "ssm:/a b", fault: `has ' '`},
		{address: "ssm:/a/é", fault: `has 'é'`},
		{address: "ssm:/a:1", fault: `has ':'`},
		{address: "ssm:/aws/x", fault: `begins with "aws" or "ssm"`},
		{address: "ssm:/AWSome", fault: `begins with "aws" or "ssm"`},
		{address: "ssm:/ssm.x", fault: `begins with "aws" or "ssm"`},
		{address: "ssm:" + level + "/l", fault: "12 levels, more than the 11"},
		{address: "ssm:/" + strings.Repeat("x", maxName-maxKey-1), fault: fmt.Sprint(maxName-maxKey, " characters, more than the")},
		{address: "ssm:/Aws/b c/", fault: "empty level: a slash at the end, or two in a row\nhas ' ': only letters, digits and _ . - / are allowed\nbegins with"},
		{address: "file:", fault: "names no directory"},
		{address: "file", fault: "names no directory"},
		{address: "file:a\x00b", fault: "is no path"},
		{address: "file:\xff", fault: "is no path"},
	} {
		a, err := ParseAddress(c.address)
		if c.fault == "" {
			if err != nil || a.String() != c.want {
				t.Errorf("%q: %q, %v", c.address, a.String(), err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.fault) || a != (Address{}) {
			t.Errorf("%q: %+v, error %v, want %q", c.address, a, err, c.fault)
		}
		if _, err := OpenReader(c.address, nil); err == nil {
			t.Errorf("%q: opened", c.address)
		}
	}
}

// A relative directory needs a working directory.
func TestParseAddressWithoutAWorkingDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(wd); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PWD", "")
	if a, err := ParseAddress("file:x"); err == nil {
		t.Errorf("%v", a)
	}
}

// Every root that is accepted has room for every key that is.
func TestLongestName(t *testing.T) {
	a := Address{SSM: true, Root: strings.Repeat("/l", 11)}
	key := "a/b/c/" + strings.Repeat("k", maxKey-6)
	if err := CheckKey(key); err != nil {
		t.Fatal(err)
	}
	if levels := strings.Count(a.Name(key), "/"); levels != maxLevels {
		t.Errorf("%d levels", levels)
	}
	a.Root = "/" + strings.Repeat("x", maxName-maxKey-2)
	if n := len(a.Name(key)); n != maxName {
		t.Errorf("%d characters, want %d", n, maxName)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"ssm:/gatehouse/prod", "file:/x", "file:../x", "ssm:/a/../b", "ssm:", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		a, err := ParseAddress(address)
		if err != nil {
			return
		}
		again, err := ParseAddress(a.String())
		if err != nil || again != a {
			t.Errorf("%q: %+v, then %+v %v", address, a, again, err)
		}
		if a.SSM && a.String() != address || !strings.HasPrefix(a.Root, "/") {
			t.Errorf("%q: %+v", address, a)
		}
	})
}

func FuzzFileName(f *testing.F) {
	for _, seed := range []string{"active", "releases/7", "releases/7/signatures/x", "a.txt/b", "../x", "~a", "a"} {
		f.Add(seed, "releases/7.txt")
	}
	f.Fuzz(func(t *testing.T, key, other string) {
		if CheckKey(key) != nil {
			return
		}
		name := FileName(key)
		if back, ok := FileKey(name); !ok || back != key {
			t.Errorf("%q: the file %q is of %q %v", key, name, back, ok)
		}
		if !filepath.IsLocal(name) || filepath.Clean(name) != name {
			t.Errorf("%q: the file %q", key, name)
		}
		if CheckKey(other) != nil || other == key {
			return
		}
		// No file of one key is the file, or a folder on the way to the file, of another.
		if there := FileName(other); there == name || strings.HasPrefix(there, name+"/") {
			t.Errorf("%q and %q: the files %q and %q", key, other, name, there)
		}
		if back, ok := FileKey(other); ok && CheckKey(back) != nil {
			t.Errorf("%q is the file of %q", other, back)
		}
	})
}
