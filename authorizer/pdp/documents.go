package pdp

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// documents are the virtual documents that one evaluation has worked out. OPA's own cache of them is a tree that takes
// three allocations for each step of each reference; this one is a table that is used again by the next evaluation.
type documents struct {
	newest  map[int]int // hash of a reference -> the newest entry with it
	entries []document
	terms   []*ast.Term // what the entries' references are made of
	frames  []int       // where each frame but the first begins; a frame is what one `with` sees
}

type document struct {
	ref       ast.Ref
	hash      int
	value     *ast.Term
	undefined bool
	older     int // entry with the same hash; -1: none
}

var _ topdown.VirtualCache = (*documents)(nil)

func newDocuments() *documents { return &documents{newest: map[int]int{}} }

// reset forgets everything and keeps the room that it took.
func (d *documents) reset() {
	clear(d.newest)
	clear(d.entries)
	clear(d.terms)
	d.entries, d.terms, d.frames = d.entries[:0], d.terms[:0], d.frames[:0]
}

// Push opens a frame in which nothing is known.
func (d *documents) Push() { d.frames = append(d.frames, len(d.entries)) }

// Pop forgets a frame.
func (d *documents) Pop() {
	begin := d.frames[len(d.frames)-1]
	for i := len(d.entries) - 1; i >= begin; i-- {
		e := d.entries[i]
		if e.older < 0 {
			delete(d.newest, e.hash)
		} else {
			d.newest[e.hash] = e.older
		}
		d.entries[i] = document{}
	}
	d.entries, d.frames = d.entries[:begin], d.frames[:len(d.frames)-1]
}

// Get gives a document's value; nil and true where it is known to be undefined, nil and false where nothing is known.
func (d *documents) Get(ref ast.Ref) (*ast.Term, bool) {
	e := d.find(ref, ref.Hash())
	if e == nil {
		return nil, false
	}
	return e.value, e.undefined
}

// Put keeps a document's value; nil is that it is undefined.
func (d *documents) Put(ref ast.Ref, value *ast.Term) {
	hash := ref.Hash()
	if e := d.find(ref, hash); e != nil {
		e.value, e.undefined = value, value == nil
		return
	}
	begin := len(d.terms)
	d.terms = append(d.terms, ref...) // OPA goes on to use the reference for something else
	older, found := d.newest[hash]
	if !found {
		older = -1
	}
	d.newest[hash] = len(d.entries)
	d.entries = append(d.entries, document{
		ref: d.terms[begin:len(d.terms):len(d.terms)], hash: hash, value: value, undefined: value == nil, older: older,
	})
}

// Keys are the documents of the frame that have a value.
func (d *documents) Keys() []ast.Ref {
	var keys []ast.Ref
	for _, e := range d.entries[d.begin():] {
		if !e.undefined {
			keys = append(keys, e.ref)
		}
	}
	return keys
}

func (d *documents) begin() int {
	if len(d.frames) == 0 {
		return 0
	}
	return d.frames[len(d.frames)-1]
}

func (d *documents) find(ref ast.Ref, hash int) *document {
	i, found := d.newest[hash]
	for begin := d.begin(); found && i >= begin; i = d.entries[i].older {
		if e := &d.entries[i]; same(e.ref, ref) {
			return e
		}
	}
	return nil
}

func same(a, b ast.Ref) bool {
	if len(a) != len(b) {
		return false
	}
	for i := len(a) - 1; i >= 0; i-- { // the ends differ most
		if a[i] != b[i] && !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// facts is a policy's data as OPA's cache of base documents: it is all in memory as it is, and never changes.
type facts struct{ root ast.Object }

var _ topdown.BaseCache = facts{}

// Get gives what stands at a reference into data, nil where nothing does.
func (f facts) Get(ref ast.Ref) ast.Value {
	if len(ref) < 2 {
		return nil
	}
	value, err := f.root.Find(ref[1:])
	if err != nil {
		return nil
	}
	return value
}

// Put has nothing to add.
func (facts) Put(ast.Ref, ast.Value) {}
