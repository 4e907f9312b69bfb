package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"gatehouse/handlers/caller"
)

const (
	padlock = `{"id":"42","owner":"auth0|cust","item":"padlock","quantity":2,"sample":true}`
	lantern = `{"id":"41","owner":"auth0|cust","item":"lantern","quantity":1,"sample":true}`
	key     = `{"id":"43","owner":"auth0|supp","item":"spare key","quantity":5,"sample":true}`
	unknown = `{"message":"no such order","code":"order_unknown"}`
)

// ask calls a route for a caller; its template's parameters are all called id.
func ask(t *testing.T, a *api, subject, route, id, body string) (caller.Response, string) {
	t.Helper()
	method, _, _ := strings.Cut(route, " ")
	r := a.routes().Serve(t.Context(), caller.Request{
		Method: method, Route: route, Params: map[string]string{"id": id}, Body: []byte(body),
		Caller: caller.Caller{Subject: subject},
	})
	if r.Body == nil {
		return r, ""
	}
	out, err := json.Marshal(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(out)
}

func TestSampleOrders(t *testing.T) {
	t.Parallel()
	a := newAPI()
	for _, test := range []struct {
		route, id string
		status    int
		want      string
	}{
		{"GET /orders", "", 200, `{"orders":[` + lantern + `,` + padlock + `,` + key + `]}`},
		{"GET /orders/{id}", "42", 200, padlock},
		{"GET /orders/{id}", "44", 404, unknown},
		{"GET /orders/{id}", "", 404, unknown},
		{"GET /users/{id}/orders", "auth0|cust", 200, `{"orders":[` + lantern + `,` + padlock + `]}`},
		{"GET /users/{id}/orders", "auth0|supp", 200, `{"orders":[` + key + `]}`},
		{"GET /users/{id}/orders", "auth0|none", 200, `{"orders":[]}`},
		{"DELETE /orders/{id}", "42", 204, ""},
		{"DELETE /orders/{id}", "42", 204, ""}, // an example can be repeated
		{"GET /orders/{id}", "42", 200, padlock},
		{"DELETE /orders/{id}", "44", 404, unknown},
		{"PUT /orders/{id}", "42", 405, `{"message":"method PUT is not allowed here","code":"method_not_allowed"}`},
		{"GET /order", "", 404, `{"message":"no such route","code":"route_unknown"}`},
	} {
		if r, got := ask(t, a, "auth0|supp", test.route, test.id, ""); r.Status != test.status || got != test.want {
			t.Errorf("%s %s: got %d %s\nwant %d %s", test.route, test.id, r.Status, got, test.status, test.want)
		}
	}
}

func TestAnOrdersLife(t *testing.T) {
	t.Parallel()
	a := newAPI()
	r, created := ask(t, a, "auth0|new", "POST /orders", "", ` {"quantity": 3, "item": "hinge"} `)
	o, ok := r.Body.(order)
	if !ok || r.Status != 201 || o.ID == "" || r.Headers["Location"] != "orders/"+o.ID ||
		created != `{"id":"`+o.ID+`","owner":"auth0|new","item":"hinge","quantity":3}` {
		t.Fatalf("create: got %+v", r)
	}
	if r, got := ask(t, a, "x", "GET /orders/{id}", o.ID, ""); r.Status != 200 || got != created {
		t.Errorf("get: got %d %s", r.Status, got)
	}
	if _, got := ask(t, a, "x", "GET /users/{id}/orders", "auth0|new", ""); got != `{"orders":[`+created+`]}` {
		t.Errorf("list: got %s", got)
	}
	if r, got := ask(t, a, "x", "DELETE /orders/{id}", o.ID, ""); r.Status != 204 || got != "" {
		t.Errorf("delete: got %d %s", r.Status, got)
	}
	for _, route := range []string{"GET /orders/{id}", "DELETE /orders/{id}"} {
		if r, got := ask(t, a, "x", route, o.ID, ""); r.Status != 404 || got != unknown {
			t.Errorf("%s after its end: got %d %s", route, r.Status, got)
		}
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	const (
		item     = `field "item": want text of 1 to 100 characters`
		quantity = `field "quantity": want a whole number from 1 to 1000`
		object   = `body: want one JSON object in UTF-8`
		trailing = `body: data after the JSON object`
	)
	for body, want := range map[string]string{
		``:                                       object,
		`null`:                                   object,
		`[]`:                                     object,
		`"x"`:                                    object,
		`{`:                                      object,
		`{"item"`:                                object,
		`{"item":`:                               object,
		`{"item":"a","quantity":1`:               object,
		`{"item":"a","quantity":1,}`:             object,
		`{"item":"a" "quantity":1}`:              object,
		`{1:2}`:                                  object,
		"{\"item\":\"\xff\",\"quantity\":1}":     object,
		`{"item":"a","quantity":1} x`:            trailing,
		`{"item":"a","quantity":1}{}`:            trailing,
		`{"item":"a","quantity":1}]`:             trailing,
		`{}`:                                     item + "; " + quantity,
		`{"item":"a"}`:                           quantity,
		`{"quantity":1}`:                         item,
		`{"item":"","quantity":1}`:               item,
		`{"item":null,"quantity":1}`:             item,
		`{"item":7,"quantity":1}`:                item,
		`{"item":["a"],"quantity":1}`:            item,
		`{"item":"a","quantity":0}`:              quantity,
		`{"item":"a","quantity":-1}`:             quantity,
		`{"item":"a","quantity":1001}`:           quantity,
		`{"item":"a","quantity":1.5}`:            quantity,
		`{"item":"a","quantity":"1"}`:            quantity,
		`{"item":"a","quantity":null}`:           quantity,
		`{"item":"a","quantity":1e99}`:           quantity,
		`{"item":"a","quantity":1,"owner":"me"}`: `field "owner": not known`,
		`{"ITEM":"a","quantity":1}`:              `field "ITEM": not known; ` + item,
		`{"item":"a","item":"b","quantity":1}`:   `field "item": given twice`,
		`{"item":"a","quantity":1,"quantity":2}`: `field "quantity": given twice`,
		`{"x\ny":1,"item":"a","quantity":1}`:     `field "x\ny": not known`,
		`{"item":"` + strings.Repeat("é", 101) + `","quantity":1}`: item,
	} {
		a := newAPI()
		r, _ := ask(t, a, "auth0|cust", "POST /orders", "", body)
		p, ok := r.Body.(caller.Problem)
		if r.Status != 400 || !ok || p.Code != "order_invalid" || p.Message != want {
			t.Errorf("%s: got %+v\nwant %s", body, r, want)
		}
		if n := len(a.store.all()); n != len(sampleOrders) {
			t.Errorf("%s: the store holds %d orders", body, n)
		}
	}
}

func TestCreateAtTheBounds(t *testing.T) {
	t.Parallel()
	longest := `{"item":"` + strings.Repeat("é", 100) + `","quantity":1000}`
	for body, status := range map[string]int{
		`{"item":"a","quantity":1}`: 201,
		longest:                     201,
		longest + strings.Repeat(" ", maxBody-len(longest)):   201,
		longest + strings.Repeat(" ", maxBody-len(longest)+1): 413,
	} {
		if r, got := ask(t, newAPI(), "auth0|cust", "POST /orders", "", body); r.Status != status {
			t.Errorf("%d bytes: got %d %s, want %d", len(body), r.Status, got, status)
		}
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	a := newAPI()
	for range maxOrders - len(sampleOrders) {
		if r, got := ask(t, a, "auth0|cust", "POST /orders", "", `{"item":"a","quantity":1}`); r.Status != 201 {
			t.Fatalf("got %d %s", r.Status, got)
		}
	}
	r, got := ask(t, a, "auth0|cust", "POST /orders", "", `{"item":"a","quantity":1}`)
	if r.Status != 503 || got != `{"message":"no room for another order","code":"store_full"}` {
		t.Errorf("got %d %s", r.Status, got)
	}
}

// Orders that come and go at once don't disturb each other, nor the sample.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	a := newAPI()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			owner := fmt.Sprint("auth0|", i)
			for range 20 {
				r, _ := ask(t, a, owner, "POST /orders", "", `{"item":"a","quantity":1}`)
				id := r.Body.(order).ID
				if r, got := ask(t, a, owner, "GET /users/{id}/orders", owner, ""); len(r.Body.(orders).Orders) != 1 {
					t.Errorf("%s has %s", owner, got)
				}
				if r, _ := ask(t, a, owner, "DELETE /orders/{id}", id, ""); r.Status != 204 {
					t.Errorf("delete: got %+v", r)
				}
			}
		})
	}
	wg.Wait()
	if n := len(a.store.all()); n != len(sampleOrders) {
		t.Errorf("%d orders are left, want %d", n, len(sampleOrders))
	}
}

// FuzzParseOrder holds for any body: what is accepted is within bounds, and means the same when it is written anew.
func FuzzParseOrder(f *testing.F) {
	for _, body := range []string{`{"item":"a","quantity":1}`, `{"item":"a","item":"b"}`, `{"x":[{}]}`, `{} {}`, `[`, "\xff"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseOrder(body)
		if err != nil {
			if o != (newOrder{}) {
				t.Errorf("got %+v beside %v", o, err)
			}
			return
		}
		if n := utf8.RuneCountInString(o.Item); n < 1 || n > maxItem || o.Quantity < 1 || o.Quantity > maxQuantity {
			t.Errorf("accepted %+v", o)
		}
		again, err := json.Marshal(map[string]any{"item": o.Item, "quantity": o.Quantity})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := parseOrder(again); err != nil || p != o {
			t.Errorf("%+v came back as %+v, %v", o, p, err)
		}
	})
}
