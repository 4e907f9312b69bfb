package main

import (
	"crypto/rand"
	"slices"
	"sync"
)

// order is an order as the API shows it.
type order struct {
	ID       string `json:"id"`
	Owner    string `json:"owner"` // subject of the caller who made it
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Sample   bool   `json:"sample,omitempty"` // always there; a deletion is undone at once
}

var sampleOrders = []order{
	{ID: "41", Owner: "auth0|cust", Item: "lantern", Quantity: 1, Sample: true},
	{ID: "42", Owner: "auth0|cust", Item: "padlock", Quantity: 2, Sample: true},
	{ID: "43", Owner: "auth0|supp", Item: "spare key", Quantity: 5, Sample: true},
}

// maxOrders bounds a process's memory.
const maxOrders = 1000

// store keeps orders in memory. It is safe for concurrent use.
type store struct {
	mu     sync.Mutex
	orders []order
}

func newStore() *store { return &store{orders: slices.Clone(sampleOrders)} }

func (s *store) all() []order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.orders)
}

func (s *store) of(owner string) []order {
	return slices.DeleteFunc(s.all(), func(o order) bool { return o.Owner != owner })
}

func (s *store) get(id string) (order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(id); i >= 0 {
		return s.orders[i], true
	}
	return order{}, false
}

// add keeps a new order, unless there are maxOrders. Its id is random: other processes hand out ids too.
func (s *store) add(owner string, n newOrder) (order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.orders) >= maxOrders {
		return order{}, false
	}
	o := order{ID: rand.Text(), Owner: owner, Item: n.Item, Quantity: n.Quantity}
	s.orders = append(s.orders, o)
	return o, true
}

// remove says whether the order was there.
func (s *store) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(id)
	if i < 0 {
		return false
	}
	if !s.orders[i].Sample {
		s.orders = slices.Delete(s.orders, i, i+1)
	}
	return true
}

func (s *store) index(id string) int {
	return slices.IndexFunc(s.orders, func(o order) bool { return o.ID == id })
}
