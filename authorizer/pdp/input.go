package pdp

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/authorizer"
)

// inputValue gives the input document as the value that its JSON form would have, without the way through JSON. A test
// holds the two against each other.
func inputValue(in authorizer.Input, principal ast.Value) ast.Value {
	return fields(
		"version", ast.String(in.Version),
		"request", requestValue(in.Request),
		"principal", principal,
	)
}

func requestValue(r authorizer.Request) ast.Value {
	return fields(
		"id", given(r.ID),
		"api", ast.String(r.API),
		"stage", ast.String(r.Stage),
		"protocol", ast.String(r.Protocol),
		"method", given(r.Method),
		"route", given(r.Route),
		"path", givenIf(len(r.Path), func() ast.Value { return list(r.Path) }),
		"params", givenIf(len(r.Params), func() ast.Value {
			o := ast.NewObjectWithCapacity(len(r.Params))
			for k, v := range r.Params {
				o.Insert(ast.StringTerm(k), ast.StringTerm(v))
			}
			return o
		}),
		"query", givenIf(len(r.Query), func() ast.Value { return lists(r.Query) }),
		"headers", givenIf(len(r.Headers), func() ast.Value { return lists(r.Headers) }),
		"source_ip", givenIf(r.SourceIP.BitLen(), func() ast.Value { return ast.String(r.SourceIP.String()) }),
		"time", instant(r.Time),
	)
}

func principalValue(p authorizer.Principal) ast.Value {
	claims := ast.NewObjectWithCapacity(len(p.Claims))
	for k, v := range p.Claims {
		claims.Insert(ast.StringTerm(k), ast.NewTerm(claimValue(v)))
	}
	return fields(
		"issuer", ast.String(p.Issuer),
		"subject", ast.String(p.Subject),
		"client_id", given(p.ClientID),
		"organization", given(p.Organization),
		"audience", list(p.Audience),
		"scopes", list(p.Scopes),
		"permissions", list(p.Permissions),
		"roles", list(p.Roles),
		"machine", ast.Boolean(p.Machine),
		"expires_at", instant(p.ExpiresAt),
		"claims", claims,
	)
}

// fields makes an object of names and values in turn; a nil value leaves its name out.
func fields(pairs ...any) ast.Value {
	o := ast.NewObjectWithCapacity(len(pairs) / 2)
	for i := 0; i < len(pairs); i += 2 {
		if v, ok := pairs[i+1].(ast.Value); ok {
			o.Insert(name(pairs[i].(string)), ast.NewTerm(v))
		}
	}
	return o
}

// name is the term for a field of the input or of a decision, made once: they are most of the strings in either.
func name(field string) *ast.Term {
	if t, ok := names[field]; ok {
		return t
	}
	return ast.StringTerm(field)
}

var names = func() map[string]*ast.Term {
	m := map[string]*ast.Term{}
	for _, field := range strings.Fields(`
		version request principal
		id api stage protocol method route path params query headers source_ip time
		issuer subject client_id organization audience scopes permissions roles machine expires_at claims
		allowed status grants violations warnings auditAnnotations context usageIdentifierKey
		code reason message constraint template action`) {
		m[field] = ast.StringTerm(field)
	}
	return m
}()

// given is the string, or nothing for the empty one.
func given(s string) ast.Value {
	if s == "" {
		return nil
	}
	return ast.String(s)
}

// givenIf is the value, or nothing where its size is nought.
func givenIf(size int, value func() ast.Value) ast.Value {
	if size == 0 {
		return nil
	}
	return value()
}

func list(items []string) ast.Value {
	terms := make([]*ast.Term, len(items))
	for i, s := range items {
		terms[i] = ast.StringTerm(s)
	}
	return ast.NewArray(terms...)
}

func lists(m map[string][]string) ast.Value {
	o := ast.NewObjectWithCapacity(len(m))
	for k, v := range m {
		o.Insert(ast.StringTerm(k), ast.NewTerm(list(v)))
	}
	return o
}

func instant(t time.Time) ast.Value { return ast.String(t.Format(time.RFC3339Nano)) }

// claimValue turns what a strict JSON decoder gives into a value. Numbers keep every digit.
func claimValue(v any) ast.Value {
	switch v := v.(type) {
	case nil:
		return ast.NullValue
	case bool:
		return ast.Boolean(v)
	case string:
		return ast.String(v)
	case json.Number:
		return ast.Number(v)
	case []any:
		terms := make([]*ast.Term, len(v))
		for i, e := range v {
			terms[i] = ast.NewTerm(claimValue(e))
		}
		return ast.NewArray(terms...)
	case map[string]any:
		o := ast.NewObjectWithCapacity(len(v))
		for k, e := range v {
			o.Insert(ast.StringTerm(k), ast.NewTerm(claimValue(e)))
		}
		return o
	}
	// Only a caller other than the token room gets here; authorizer turns the panic into Unavailable.
	panic(fmt.Sprintf("claim of type %T", v))
}
