package issuer

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// memory is what the issuer knows of logins. It ends with the issuer, and so do they.
type memory struct {
	mu       sync.Mutex
	pending  shelf[pending] // logins that a person has yet to finish, by the id in the login page's form
	sessions shelf[session] // by the browser's cookie
	codes    shelf[*code]   // by authorization code
	families shelf[*family] // by the first half of their refresh tokens
}

func newMemory() *memory {
	return &memory{
		pending:  shelf[pending]{age: 10 * time.Minute, most: 100},
		sessions: shelf[session]{age: 24 * time.Hour, most: 1000},
		codes:    shelf[*code]{age: time.Minute, most: 1000},           // RFC 6749 section 4.1.2: at most ten minutes
		families: shelf[*family]{age: 30 * 24 * time.Hour, most: 1000}, // Auth0's default for a rotating token's whole life
	}
}

// grant is what a person's login has given an application: what its tokens are made from.
type grant struct {
	client   string
	audience string
	scopes   []string
	session  session
}

// session is one login of a person.
type session struct {
	person Person
	mfa    bool // with a second factor
	at     time.Time
}

// pending is an authorization request that waits for its login.
type pending struct {
	reply     reply
	challenge string
	nonce     string
	grant     grant  // without a session yet
	wantMFA   bool   // by acr_values
	org       string // "" for any
}

// code is an authorization code's meaning. It stays on the shelf when it has been used, to notice a second use.
type code struct {
	grant       grant
	redirectURI string
	challenge   string // S256, RFC 7636
	nonce       string
	used        bool
	family      string // what its use began; "" for none
}

// family is a refresh token with all that it is rotated to.
type family struct {
	grant  grant
	latest string // second half of the one token that is good
}

// shelf keeps values for a time, each under a name that cannot be guessed. When it is full the oldest gives way. Nothing
// runs in the background: what is over goes when something comes.
type shelf[T any] struct {
	age   time.Duration
	most  int
	items []item[T] // oldest first
}

type item[T any] struct {
	name  string
	until time.Time
	value T
}

// put keeps a value and gives its name: 26 characters that no one guesses.
func (s *shelf[T]) put(now time.Time, value T) string {
	s.items = slices.DeleteFunc(s.items, func(i item[T]) bool { return !now.Before(i.until) })
	if len(s.items) >= s.most {
		s.items = slices.Delete(s.items, 0, len(s.items)-s.most+1)
	}
	name := rand.Text()
	s.items = append(s.items, item[T]{name, now.Add(s.age), value})
	return name
}

// get finds what is kept under a name, unless its time is over.
func (s *shelf[T]) get(now time.Time, name string) (value T, ok bool) {
	i := slices.IndexFunc(s.items, func(i item[T]) bool { return i.name == name && now.Before(i.until) })
	if i < 0 {
		return value, false
	}
	return s.items[i].value, true
}

func (s *shelf[T]) drop(name string) {
	s.items = slices.DeleteFunc(s.items, func(i item[T]) bool { return i.name == name })
}
