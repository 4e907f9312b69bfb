package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// What a parameter may be (Systems Manager API Reference, "PutParameter"): a name has at most 15 levels and 1,011
// characters, of which the ARN in front of it takes some; a value of the standard tier has 4,096 characters. A file: store
// has the same limits, so that what is tried in one works in the other.
const (
	maxLevels    = 15
	maxName      = 1011 - len("arn:aws-us-gov:ssm:us-isob-northeast-99:123456789012:parameter")
	maxKeyLevels = 4   // releases/<N>/signatures/<kid>
	maxKey       = 128 // bundles/<digest>/<n> and releases/<N>/signatures/<kid> are shorter
	maxValue     = 4096
)

// Address says where a store is.
type Address struct {
	SSM  bool   // or else files
	Root string // "/gatehouse/prod", or a directory's absolute path
}

// String spells it as ParseAddress reads it.
func (a Address) String() string {
	if a.SSM {
		return "ssm:" + a.Root
	}
	return "file:" + a.Root
}

// ParseAddress reads "ssm:/gatehouse/prod" or "file:DIR".
func ParseAddress(address string) (Address, error) {
	scheme, root, _ := strings.Cut(address, ":")
	a := Address{SSM: scheme == "ssm", Root: root}
	var err error
	switch {
	case scheme != "ssm" && scheme != "file":
		err = errors.New(`is neither "ssm:/NAME" nor "file:DIR"`)
	case a.SSM:
		err = checkRoot(root)
	case root == "":
		err = errors.New("names no directory")
	case strings.ContainsRune(root, 0) || !utf8.ValidString(root):
		err = errors.New("is no path")
	default:
		a.Root, err = filepath.Abs(root)
	}
	if err != nil {
		return Address{}, fmt.Errorf("store %q: %w", address, err)
	}
	return a, nil
}

// checkRoot refuses a root below which some key of ours could not be a parameter.
func checkRoot(root string) error {
	below, ok := strings.CutPrefix(root, "/")
	if !ok || below == "" {
		return errors.New(`has no name that begins with "/"`)
	}
	var faults []error
	levels := strings.Split(below, "/")
	faults = append(faults, checkLevels(levels)...)
	if most := maxLevels - maxKeyLevels; len(levels) > most {
		faults = append(faults, fmt.Errorf("has %d levels, more than the %d that leave room for the keys", len(levels), most))
	}
	if most := maxName - maxKey - 1; len(root) > most {
		faults = append(faults, fmt.Errorf("has %d characters, more than the %d that leave room for the keys", len(root), most))
	}
	if first := strings.ToLower(levels[0]); strings.HasPrefix(first, "aws") || strings.HasPrefix(first, "ssm") {
		faults = append(faults, errors.New(`begins with "aws" or "ssm", which AWS keeps for itself`))
	}
	return errors.Join(faults...)
}

// checkLevels knows what a name is made of.
func checkLevels(levels []string) []error {
	var faults []error
	if slices.Contains(levels, "") {
		faults = append(faults, errors.New("has an empty level: a slash at the end, or two in a row"))
	}
	if slices.Contains(levels, ".") || slices.Contains(levels, "..") {
		faults = append(faults, errors.New(`has a level "." or ".."`))
	}
	for _, level := range levels {
		if i := strings.IndexFunc(level, func(r rune) bool { return !allowed(r) }); i >= 0 {
			r, _ := utf8.DecodeRuneInString(level[i:])
			faults = append(faults, fmt.Errorf("has %q: only letters, digits and _ . - / are allowed", r))
			break
		}
	}
	return faults
}

func allowed(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-'
}

// leaf ends the name of a file that holds a value. No level of a key may end so, and that keeps the file of the key
// releases/7 (releases/7.txt) apart from the folder of the key releases/7/signatures/x (releases/7).
const leaf = ".txt"

// CheckKey refuses what cannot be a key of either store, all faults at once.
func CheckKey(key string) error {
	levels := strings.Split(key, "/")
	faults := checkLevels(levels)
	if len(levels) > maxKeyLevels {
		faults = append(faults, fmt.Errorf("has %d levels, more than %d", len(levels), maxKeyLevels))
	}
	if len(key) > maxKey {
		faults = append(faults, fmt.Errorf("has %d characters, more than %d", len(key), maxKey))
	}
	if slices.ContainsFunc(levels, func(level string) bool { return strings.HasSuffix(level, leaf) }) {
		faults = append(faults, fmt.Errorf("has a level that ends in %s, as the files of a file: store do", leaf))
	}
	if len(faults) > 0 {
		return fmt.Errorf("key %q: %w", key, errors.Join(faults...))
	}
	return nil
}

// CheckPrefix refuses what is no folder of keys: "" or "releases/".
func CheckPrefix(prefix string) error {
	folder, ok := strings.CutSuffix(prefix, "/")
	switch {
	case prefix == "":
		return nil
	case !ok:
		return fmt.Errorf("prefix %q: does not end in a slash", prefix)
	}
	if err := CheckKey(folder); err != nil {
		return fmt.Errorf("prefix %q: %w", prefix, err)
	}
	return nil
}

// CheckValue refuses what PutParameter refuses as a value of the standard tier. AWS speaks of 4 KB in one place and of 4,096
// characters in another: bytes are counted, which keeps to both. The fault never shows the value.
func CheckValue(value string) error {
	switch {
	case value == "":
		return errors.New("value: is empty")
	case len(value) > maxValue:
		return fmt.Errorf("value: has %d bytes, more than %d", len(value), maxValue)
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return errors.New("value: is no text")
	case strings.Contains(value, "{{"):
		return errors.New(`value: has "{{", which Parameter Store takes for a reference to another parameter`)
	}
	return nil
}

// Name is the full name of a key's parameter.
func (a Address) Name(key string) string { return a.Root + "/" + key }

// Key is the key of a parameter by its full name.
func (a Address) Key(name string) (string, bool) { return strings.CutPrefix(name, a.Root+"/") }

// FileName is the file of a key, below the directory.
func FileName(key string) string { return key + leaf }

// FileKey is the key of a file. What is no value (a temporary file has a ~) has none.
func FileKey(file string) (string, bool) {
	key, ok := strings.CutSuffix(file, leaf)
	return key, ok && CheckKey(key) == nil
}
