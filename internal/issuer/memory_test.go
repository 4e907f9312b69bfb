package issuer

import (
	"testing"
	"time"
)

func TestShelf(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := shelf[int]{age: time.Minute, most: 3}
	names := map[string]bool{}
	var kept []string
	for n := range 10 {
		name := s.put(now, n)
		if names[name] || len(name) < 26 {
			t.Fatalf("name %q", name)
		}
		names[name] = true
		kept = append(kept, name)
	}
	if len(s.items) != 3 {
		t.Errorf("%d kept, want 3", len(s.items))
	}
	for n, name := range kept {
		if value, ok := s.get(now, name); ok != (n >= 7) || ok && value != n {
			t.Errorf("%d: %d, %v", n, value, ok)
		}
	}
	if _, ok := s.get(now.Add(time.Minute), kept[9]); ok {
		t.Error("kept for longer than its time")
	}
	s.drop(kept[9])
	s.drop("unknown")
	if _, ok := s.get(now, kept[9]); ok || len(s.items) != 2 {
		t.Error("dropped, and still there")
	}
	if _, ok := s.get(now, ""); ok {
		t.Error("there is something without a name")
	}
	s.put(now.Add(time.Minute), 0)
	if len(s.items) != 1 {
		t.Errorf("%d kept, want what came last: the others' time is over", len(s.items))
	}
}

// Whatever is remembered has a bound in number and in time.
func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	for name, s := range map[string]struct {
		age  time.Duration
		most int
	}{
		"pending": {m.pending.age, m.pending.most}, "sessions": {m.sessions.age, m.sessions.most},
		"codes": {m.codes.age, m.codes.most}, "families": {m.families.age, m.families.most},
	} {
		if s.age <= 0 || s.most <= 0 || s.most > 1000 {
			t.Errorf("%s: %v, %d", name, s.age, s.most)
		}
	}
}

func TestOriginOfAnAddress(t *testing.T) {
	for address, want := range map[string]string{"http://127.0.0.1:8790/callback": "http://127.0.0.1:8790", "http://%zz": "null"} {
		if got := (reply{redirectURI: address}).origin(); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
