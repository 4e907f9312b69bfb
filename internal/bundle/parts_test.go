package bundle_test

import (
	"bytes"
	"strings"
	"testing"

	"gatehouse/internal/bundle"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		bytes int
		chars []int // of each part
	}{
		{0, nil},
		{1, []int{4}},
		{3_071, []int{4_096}},
		{3_072, []int{4_096}},
		{3_073, []int{4_096, 4}},
		{2*3_072 + 2, []int{4_096, 4_096, 4}},
		{bundle.MaxParts * 3_072, nil},
	}
	for _, tt := range tests {
		content := bytes.Repeat([]byte{0xff, 0, 7}, tt.bytes/3+1)[:tt.bytes]
		parts := bundle.Split(content)
		for i, chars := range tt.chars {
			if len(parts) != len(tt.chars) || len(parts[i]) != chars {
				t.Errorf("%d bytes: got %d parts, want them of %d characters", tt.bytes, len(parts), tt.chars)
			}
		}
		if tt.bytes == 0 {
			continue
		}
		if got, err := bundle.Join(parts); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes: joined to %d, %v", tt.bytes, len(got), err)
		}
	}
}

func TestJoinRefuses(t *testing.T) {
	full := strings.Repeat("AAAA", 1_024)
	tests := []struct {
		name  string
		parts []string
		want  string
	}{
		{"no parts", nil, "there are none"},
		{"too many parts", bundle.Split(make([]byte, bundle.MaxParts*3_072+1)), "201 of them: at most 200"},
		{"an empty part alone", []string{""}, "part 1 of 1: empty"},
		{"an empty last part", []string{full, ""}, "part 2 of 2: empty"},
		{"a short part in the middle", []string{full, "AAAA", full}, "part 2 of 3: 4 characters: want 4096"},
		{"a long part", []string{full + "AAAA"}, "part 1 of 1: 4100 characters: at most 4096"},
		{"padding in the middle", []string{full[:4_095] + "=", "AAAA"}, "part 1 of 2: padding"},
		{"no padding", []string{"AA"}, "part 1 of 1: not base64"},
		{"bits left over", []string{"AB=="}, "part 1 of 1: not base64"},
		{"the alphabet of URLs", []string{"AA-_"}, "part 1 of 1: not base64"},
		{"a line break", []string{full, "AAAA\n"}, "part 2 of 2: not base64: it holds a line break"},
		{"a line break in the middle", []string{"AA\r\nAA"}, "line break"},
		{"a space", []string{"AAA "}, "part 1 of 1: not base64"},
		{"data after the padding", []string{"AA==AAAA"}, "part 1 of 1: not base64"},
	}
	for _, tt := range tests {
		if got, err := bundle.Join(tt.parts); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %d bytes, %v; want an error with %q", tt.name, len(got), err, tt.want)
		}
	}
}

func TestSum(t *testing.T) {
	// FIPS 180-4, the example of one block.
	if got := bundle.Sum([]byte("abc")); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("got %s", got)
	}
}

// FuzzJoin: parts join to what was split, and what joins was split so.
func FuzzJoin(f *testing.F) {
	full := strings.Repeat("AAAA", 1_024)
	f.Add([]byte("content"), "")
	f.Add(bytes.Repeat([]byte{0xff}, 3_073), full+" AA==")
	f.Add([]byte(nil), full+" "+full)
	f.Add([]byte("\n"), "AB==")
	f.Fuzz(func(t *testing.T, content []byte, texts string) {
		if parts := bundle.Split(content); len(parts) > 0 && len(parts) <= bundle.MaxParts {
			if got, err := bundle.Join(parts); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%d parts of %x: %x, %v", len(parts), content, got, err)
			}
		}
		parts := strings.Split(texts, " ")
		joined, err := bundle.Join(parts)
		if err != nil {
			return
		}
		if again := bundle.Split(joined); strings.Join(again, " ") != texts {
			t.Fatalf("%q joins, and splits to %q", parts, again)
		}
	})
}
