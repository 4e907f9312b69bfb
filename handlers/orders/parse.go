package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	maxBody     = 4096 // bytes of a request's body
	maxItem     = 100  // characters
	maxQuantity = 1000
)

// newOrder is what a client may say about an order: {"item":"padlock","quantity":2}.
type newOrder struct {
	Item     string
	Quantity int
}

// parseOrder reads a body: one JSON object, each of the two fields once, in exactly this spelling, and nothing else. Its
// error names every field at fault. (encoding/json alone would take "ITEM" for "item" and the last of two.)
func parseOrder(body []byte) (newOrder, error) {
	fields, faults, err := readObject(body)
	if err != nil {
		return newOrder{}, err
	}
	var o newOrder
	if err := json.Unmarshal(fields["item"], &o.Item); err != nil || o.Item == "" || utf8.RuneCountInString(o.Item) > maxItem {
		faults = append(faults, fmt.Sprintf(`field "item": want text of 1 to %d characters`, maxItem))
	}
	if err := json.Unmarshal(fields["quantity"], &o.Quantity); err != nil || o.Quantity < 1 || o.Quantity > maxQuantity {
		faults = append(faults, fmt.Sprintf(`field "quantity": want a whole number from 1 to %d`, maxQuantity))
	}
	if len(faults) > 0 {
		return newOrder{}, errors.New(strings.Join(faults, "; "))
	}
	return o, nil
}

var errNoObject = errors.New("body: want one JSON object in UTF-8")

// readObject splits an object into the fields of an order. What doesn't belong there is among the faults.
func readObject(body []byte) (fields map[string]json.RawMessage, faults []string, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') || !utf8.Valid(body) {
		return nil, nil, errNoObject
	}
	fields = map[string]json.RawMessage{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, nil, errNoObject
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, nil, errNoObject
		}
		switch key := name.(string); {
		case key != "item" && key != "quantity":
			faults = append(faults, fmt.Sprintf("field %q: not known", key))
		case fields[key] != nil:
			faults = append(faults, fmt.Sprintf("field %q: given twice", key))
		default:
			fields[key] = value
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, errNoObject
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("body: data after the JSON object")
	}
	return fields, faults, nil
}
