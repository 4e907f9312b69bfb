package release_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/release"
)

var b64 = base64.RawURLEncoding

func newKey() release.Signer { return must(release.ParseKey(must(release.GenerateKey()))) }

func public(key release.Signer) *ecdsa.PublicKey { return key.Public().(*ecdsa.PublicKey) }

func kid(key release.Signer) string { return release.KeyID(public(key)) }

func trusting(threshold int, keys ...release.Signer) release.Trust {
	var list []*ecdsa.PublicKey
	for _, k := range keys {
		list = append(list, public(k))
	}
	return must(release.ParseTrust(must(release.PublicJWKS(list...)), threshold))
}

// signed is an activation with signatures.
func signed(payload []byte, keys ...release.Signer) string {
	var sigs []release.Signature
	for _, k := range keys {
		sigs = append(sigs, must(release.Sign(release.KindActivation, payload, k)))
	}
	return string(must(release.Assemble(payload, sigs)))
}

// forge signs whatever it is given, with any header: what an enemy who has a key can do.
func forge(header string, payload []byte, key release.Signer) release.Signature {
	protected := b64.EncodeToString([]byte(header))
	sum := sha256.Sum256([]byte(protected + "." + b64.EncodeToString(payload)))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		panic(err)
	}
	return release.Signature{Protected: protected, Signature: b64.EncodeToString(slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))))}
}

func header(kid, typ string) string {
	return fmt.Sprintf(`{"alg":"ES256","kid":"%s","typ":"gatehouse-%s+json"}`, kid, typ)
}

// document puts together what Assemble would not.
func document(payload []byte, sigs ...release.Signature) string {
	doc := map[string]any{"payload": b64.EncodeToString(payload), "signatures": sigs}
	if sigs == nil {
		doc["signatures"] = []string{}
	}
	return string(must(json.Marshal(doc)))
}

func TestActivation(t *testing.T) {
	a, b, stranger := newKey(), newKey(), newKey()
	for name, c := range map[string]struct {
		trust release.Trust
		keys  []release.Signer
		want  []string
	}{
		"one of one":            {trusting(1, a), []release.Signer{a}, []string{kid(a)}},
		"one of two":            {trusting(1, a, b), []release.Signer{b}, []string{kid(b)}},
		"two of two":            {trusting(2, a, b), []release.Signer{b, a}, []string{kid(a), kid(b)}},
		"one more than must":    {trusting(1, a, b), []release.Signer{b, a}, []string{kid(a), kid(b)}},
		"a key that has gone":   {trusting(1, a), []release.Signer{a, stranger}, []string{kid(a)}},
		"a key that is to come": {trusting(2, a, b, stranger), []release.Signer{a, b}, []string{kid(a), kid(b)}},
	} {
		slices.Sort(c.want)
		for _, statement := range []release.Activation{someActivation(), plainActivation()} {
			got, signers, err := c.trust.Activation([]byte(signed(must(release.Payload(statement)), c.keys...)), here)
			if err != nil || !reflect.DeepEqual(got, statement) || !slices.Equal(signers, c.want) {
				t.Errorf("%s: %+v by %q, want by %q\n%v", name, got, signers, c.want, err)
			}
		}
	}
}

func TestRelease(t *testing.T) {
	a, b, stranger := newKey(), newKey(), newKey()
	payload := must(release.Payload(someRelease()))
	byA, byB, byStranger := must(release.Sign(release.KindRelease, payload, a)), must(release.Sign(release.KindRelease, payload, b)), must(release.Sign(release.KindRelease, payload, stranger))
	trust := trusting(2, a, b)
	got, signers, err := trust.Release(payload, []release.Signature{byStranger, byB, byA}, here)
	want := []string{kid(a), kid(b)}
	slices.Sort(want)
	if err != nil || got != someRelease() || !slices.Equal(signers, want) {
		t.Errorf("%+v by %q: %v", got, signers, err)
	}
	if kids, err := trust.Signers(release.KindRelease, payload, []release.Signature{byA, byStranger}); err != nil || !slices.Equal(kids, []string{kid(a)}) {
		t.Errorf("%q: %v", kids, err)
	}
	if kids, err := trust.Signers(release.KindRelease, payload, nil); err != nil || kids != nil {
		t.Errorf("%q: %v", kids, err)
	}
	elsewhere := here
	elsewhere.Root = "/gatehouse/dev"
	spaced := append(slices.Clone(payload), ' ')
	for name, c := range map[string]struct {
		payload []byte
		sigs    []release.Signature
		in      release.Scope
		want    string
	}{
		"none":            {payload, nil, here, release.CodeSignatureMissing},
		"a stranger's":    {payload, []release.Signature{byStranger}, here, release.CodeSignatureMissing},
		"one of two":      {payload, []release.Signature{byA, byStranger}, here, release.CodeBelowThreshold},
		"the same twice":  {payload, []release.Signature{byA, byA}, here, release.CodeMalformed},
		"of another":      {must(release.Payload(func() release.Release { r := someRelease(); r.Number = 8; return r }())), []release.Signature{byA, byB}, here, release.CodeSignatureInvalid},
		"re-spelled":      {spaced, []release.Signature{byA, byB}, here, release.CodeSignatureInvalid},
		"signed so":       {spaced, []release.Signature{forge(header(kid(a), "release"), spaced, a), forge(header(kid(b), "release"), spaced, b)}, here, release.CodeMalformed},
		"elsewhere":       {payload, []release.Signature{byA, byB}, elsewhere, release.CodeWrongRoot},
		"damaged":         {payload, []release.Signature{{}}, here, release.CodeMalformed},
		"of another kind": {payload, []release.Signature{forge(header(kid(a), "activation"), payload, a)}, here, release.CodeWrongKind},
	} {
		r, kids, err := trust.Release(c.payload, c.sigs, c.in)
		if code(err) != c.want || r != (release.Release{}) || kids != nil {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestAttacks are activations that must not count. The enemy can write the store, has every statement that was ever signed
// and keys of his own; in some rows he has one of the two keys that must sign.
func TestAttacks(t *testing.T) {
	a, b, stranger := newKey(), newKey(), newKey()
	one, two := trusting(1, a, b), trusting(2, a, b)
	payload := must(release.Payload(plainActivation()))
	good := signed(payload, a, b)
	sig := func(payload []byte, key release.Signer) release.Signature {
		return must(release.Sign(release.KindActivation, payload, key))
	}
	other := plainActivation()
	other.Sequence++
	another := must(release.Payload(other))
	released := must(release.Payload(someRelease()))
	byRelease := must(release.Sign(release.KindRelease, released, a))

	raw := func(b []byte) release.Signature {
		return release.Signature{Protected: sig(payload, a).Protected, Signature: b64.EncodeToString(b)}
	}
	n := elliptic.P256().Params().N.FillBytes(make([]byte, 32))
	zero, first := make([]byte, 32), append(make([]byte, 31), 1)
	der := func() []byte {
		sum := sha256.Sum256([]byte(sig(payload, a).Protected + "." + b64.EncodeToString(payload)))
		return must(ecdsa.SignASN1(rand.Reader, a.(*ecdsa.PrivateKey), sum[:]))
	}()
	hmacOf := func(header string, secret []byte) release.Signature {
		protected := b64.EncodeToString([]byte(header))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(protected + "." + b64.EncodeToString(payload)))
		return release.Signature{Protected: protected, Signature: b64.EncodeToString(mac.Sum(nil))}
	}
	pkix := must(x509.MarshalPKIXPublicKey(a.Public()))
	typed := func(format string) string { return fmt.Sprintf(format, kid(a), `"typ":"gatehouse-activation+json"`) }
	headed := func(header string) string { return document(payload, forge(header, payload, a)) }
	jwk := func() string {
		var set struct{ Keys []json.RawMessage }
		if err := json.Unmarshal(must(release.PublicJWKS(public(stranger))), &set); err != nil {
			t.Fatal(err)
		}
		return string(set.Keys[0])
	}()
	replaced := func(doc, old, new string) string {
		if !strings.Contains(doc, old) {
			t.Fatalf("%s lacks %s", doc, old)
		}
		return strings.Replace(doc, old, new, 1)
	}
	ascending := []release.Signer{a, b}
	if kid(b) < kid(a) {
		ascending = []release.Signer{b, a}
	}
	for name, c := range map[string]struct {
		trust release.Trust
		doc   string
		want  string
	}{
		"nobody is trusted":  {release.Trust{}, good, release.CodeSignatureMissing},
		"one of two":         {two, signed(payload, a), release.CodeBelowThreshold},
		"one and a stranger": {two, signed(payload, a, stranger), release.CodeBelowThreshold},
		"a stranger":         {one, signed(payload, stranger), release.CodeSignatureMissing},
		"stripped":           {one, document(payload), release.CodeSignatureMissing},
		"stripped to null":   {one, `{"payload":"` + b64.EncodeToString(payload) + `","signatures":null}`, release.CodeMalformed},
		"no signatures":      {one, `{"payload":"` + b64.EncodeToString(payload) + `"}`, release.CodeMalformed},
		"an empty signature": {one, document(payload, release.Signature{Protected: sig(payload, a).Protected}), release.CodeMalformed},
		"of another":         {one, document(another, sig(payload, a)), release.CodeSignatureInvalid},
		"one of another":     {one, string(must(release.Assemble(another, []release.Signature{sig(another, a), sig(payload, b)}))), release.CodeSignatureInvalid},
		"under another's id": {one, document(payload, forge(header(kid(a), "activation"), payload, stranger)), release.CodeSignatureInvalid},
		"the same key twice": {two, document(payload, sig(payload, a), sig(payload, a)), release.CodeMalformed},
		"the same id twice":  {two, document(payload, sig(payload, a), forge(header(kid(a), "activation"), payload, b)), release.CodeMalformed},
		"a stranger twice":   {one, document(payload, sig(payload, stranger), sig(payload, stranger)), release.CodeMalformed},
		"in the other order": {two, document(payload, sig(payload, ascending[1]), sig(payload, ascending[0])), release.CodeMalformed},
		"r and s are 0":      {one, document(payload, raw(slices.Concat(zero, zero))), release.CodeSignatureInvalid},
		"r and s are n":      {one, document(payload, raw(slices.Concat(n, n))), release.CodeSignatureInvalid},
		"r is 0, s is 1":     {one, document(payload, raw(slices.Concat(zero, first))), release.CodeSignatureInvalid},
		"r and s are 1":      {one, document(payload, raw(slices.Concat(first, first))), release.CodeSignatureInvalid},
		"DER":                {one, document(payload, raw(der)), release.CodeMalformed},
		"63 bytes":           {one, document(payload, raw(make([]byte, 63))), release.CodeMalformed},
		"65 bytes":           {one, document(payload, raw(make([]byte, 65))), release.CodeMalformed},
		"signature padded":   {one, replaced(good, `"}]`, `=="}]`), release.CodeMalformed},
		"signature, a line":  {one, replaced(good, `"}]`, `\n"}]`), release.CodeMalformed},
		"signature with +":   {one, document(payload, release.Signature{Protected: sig(payload, a).Protected, Signature: strings.Repeat("+", 86)}), release.CodeMalformed},
		"signature's bits":   {one, document(payload, release.Signature{Protected: sig(payload, a).Protected, Signature: strings.Repeat("A", 85) + "B"}), release.CodeMalformed},
		"payload padded":     {one, replaced(good, `","sig`, `=","sig`), release.CodeMalformed},
		"payload, a line":    {one, replaced(good, `{"payload":"`, `{"payload":"\n`), release.CodeMalformed},
		"payload's alphabet": {one, replaced(good, `{"payload":"ey`, `{"payload":"+/`), release.CodeMalformed},
		"another payload":    {one, replaced(good, `{"payload":"`+b64.EncodeToString(payload), `{"payload":"`+b64.EncodeToString(another)), release.CodeSignatureInvalid},
		"payload re-spelled": {one, document(append(slices.Clone(payload), '\n'), sig(payload, a)), release.CodeSignatureInvalid},
		"and signed so": {one, func() string {
			p := append(slices.Clone(payload), '\n')
			return document(p, forge(header(kid(a), "activation"), p, a))
		}(), release.CodeMalformed},
		"no payload":          {one, document(nil, forge(header(kid(a), "activation"), nil, a)), release.CodeMalformed},
		"space before":        {one, " " + good, release.CodeMalformed},
		"a line after":        {one, good + "\n", release.CodeMalformed},
		"space within":        {one, replaced(good, `","sig`, `", "sig`), release.CodeMalformed},
		"members in disorder": {one, replaced(good, `{"payload":"`+b64.EncodeToString(payload)+`",`, `{`)[:len(good)-len(b64.EncodeToString(payload))-len(`"payload":"",`)-1] + `,"payload":"` + b64.EncodeToString(payload) + `"}`, release.CodeMalformed},
		"an escape":           {one, replaced(good, `"payload"`, `"p\u0061yload"`), release.CodeMalformed},
		"two documents":       {one, good + good, release.CodeMalformed},
		"a name twice":        {one, replaced(good, `{"payload"`, `{"payload":"e30","payload"`), release.CodeMalformed},
		"unprotected header":  {one, replaced(good, `{"protected"`, `{"header":{"alg":"none"},"protected"`), release.CodeMalformed},
		"unprotected, empty":  {one, replaced(good, `"}]`, `","header":{}}]`), release.CodeMalformed},
		"more members":        {one, replaced(good, `{"payload"`, `{"sequence":99,"payload"`), release.CodeMalformed},
		"flattened":           {one, `{"payload":"` + b64.EncodeToString(payload) + `","protected":"` + sig(payload, a).Protected + `","signature":"` + sig(payload, a).Signature + `"}`, release.CodeMalformed},
		"compact":             {one, sig(payload, a).Protected + "." + b64.EncodeToString(payload) + "." + sig(payload, a).Signature, release.CodeMalformed},
		"bare":                {one, string(payload), release.CodeMalformed},
		"nothing":             {one, "", release.CodeMalformed},
		"null":                {one, "null", release.CodeMalformed},
		"a list":              {one, "[" + good + "]", release.CodeMalformed},
		"too large":           {one, good + strings.Repeat(" ", release.MaxStatement), release.CodeMalformed},

		"alg none":              {one, document(payload, release.Signature{Protected: b64.EncodeToString([]byte(typed(`{"alg":"none","kid":"%s",%s}`)))}), release.CodeMalformed},
		"alg none, signed":      {one, headed(typed(`{"alg":"none","kid":"%s",%s}`)), release.CodeMalformed},
		"alg es256":             {one, headed(typed(`{"alg":"es256","kid":"%s",%s}`)), release.CodeMalformed},
		"alg ES384":             {one, headed(typed(`{"alg":"ES384","kid":"%s",%s}`)), release.CodeMalformed},
		"alg a list":            {one, headed(typed(`{"alg":["ES256"],"kid":"%s",%s}`)), release.CodeMalformed},
		"no alg":                {one, headed(typed(`{"kid":"%s",%s}`)), release.CodeMalformed},
		"HS256 with the key":    {one, document(payload, hmacOf(typed(`{"alg":"HS256","kid":"%s",%s}`), pkix)), release.CodeMalformed},
		"HS256 named ES256":     {one, document(payload, hmacOf(typed(`{"alg":"ES256","kid":"%s",%s}`), pkix)), release.CodeMalformed},
		"crit":                  {one, headed(typed(`{"alg":"ES256","crit":["exp"],"kid":"%s",%s}`)), release.CodeMalformed},
		"b64":                   {one, headed(typed(`{"alg":"ES256","b64":false,"crit":["b64"],"kid":"%s",%s}`)), release.CodeMalformed},
		"embedded jwk":          {one, document(payload, forge(typed(`{"alg":"ES256","jwk":`+jwk+`,"kid":"%s",%s}`), payload, stranger)), release.CodeMalformed},
		"embedded under its id": {one, document(payload, forge(`{"alg":"ES256","jwk":`+jwk+`,"kid":"`+kid(stranger)+`","typ":"gatehouse-activation+json"}`, payload, stranger)), release.CodeMalformed},
		"jku":                   {one, headed(typed(`{"alg":"ES256","jku":"https://evil.example/","kid":"%s",%s}`)), release.CodeMalformed},
		"x5c":                   {one, headed(typed(`{"alg":"ES256","x5c":["MII"],"kid":"%s",%s}`)), release.CodeMalformed},
		"x5u":                   {one, headed(typed(`{"alg":"ES256","kid":"%s",%s,"x5u":"https://evil.example/"}`)), release.CodeMalformed},
		"cty":                   {one, headed(typed(`{"alg":"ES256","cty":"JWT","kid":"%s",%s}`)), release.CodeMalformed},
		"alg twice":             {one, headed(typed(`{"alg":"none","alg":"ES256","kid":"%s",%s}`)), release.CodeMalformed},
		"header in disorder":    {one, headed(`{"kid":"` + kid(a) + `","alg":"ES256","typ":"gatehouse-activation+json"}`), release.CodeMalformed},
		"header with space":     {one, headed(typed(`{"alg": "ES256","kid":"%s",%s}`)), release.CodeMalformed},
		"header with escape":    {one, headed(typed(`{"alg":"ES256","kid":"%s",%s}`[:7] + `"\u0045S256","kid":"%s",%s}`)), release.CodeMalformed},
		"header with a slash":   {one, headed(`{"alg":"ES256","kid":"` + kid(a) + `","typ":"gatehouse-activation\u002bjson"}`), release.CodeMalformed},
		"header, name in case":  {one, headed(typed(`{"ALG":"ES256","kid":"%s",%s}`)), release.CodeMalformed},
		"header a list":         {one, headed(`[]`), release.CodeMalformed},
		"header empty":          {one, headed(``), release.CodeMalformed},
		"header not base64":     {one, document(payload, release.Signature{Protected: "*", Signature: sig(payload, a).Signature}), release.CodeMalformed},
		"header padded":         {one, document(payload, release.Signature{Protected: sig(payload, a).Protected + "=", Signature: sig(payload, a).Signature}), release.CodeMalformed},
		"kid a name":            {one, headed(header("release", "activation")), release.CodeMalformed},
		"kid a path":            {one, headed(header("../../active", "activation")), release.CodeMalformed},
		"kid a number":          {one, headed(`{"alg":"ES256","kid":1,"typ":"gatehouse-activation+json"}`), release.CodeMalformed},
		"kid with unused bits":  {one, headed(header(kid(a)[:42]+"B", "activation")), release.CodeMalformed},
		"kid too long":          {one, headed(header(kid(a)[:42]+"AA", "activation")), release.CodeMalformed},
		"kid too short":         {one, headed(header(kid(a)[:42], "activation")), release.CodeMalformed},
		"no kid":                {one, headed(`{"alg":"ES256","typ":"gatehouse-activation+json"}`), release.CodeMalformed},
		"no typ":                {one, headed(`{"alg":"ES256","kid":"` + kid(a) + `"}`), release.CodeMalformed},
		"typ JWT":               {one, headed(`{"alg":"ES256","kid":"` + kid(a) + `","typ":"JWT"}`), release.CodeMalformed},
		"typ with application/": {one, headed(`{"alg":"ES256","kid":"` + kid(a) + `","typ":"application/gatehouse-activation+json"}`), release.CodeMalformed},

		"a release":                      {one, document(released, byRelease), release.CodeWrongKind},
		"a release, its typ changed":     {one, document(released, release.Signature{Protected: sig(payload, a).Protected, Signature: byRelease.Signature}), release.CodeSignatureInvalid},
		"a release, signed with the typ": {one, document(released, forge(header(kid(a), "activation"), released, a)), release.CodeWrongKind},
		"a release, its kind changed":    {one, document(payload, byRelease), release.CodeWrongKind},
		"an activation, signed as one":   {one, document(payload, forge(header(kid(a), "release"), payload, a)), release.CodeWrongKind},
		"one of two kinds":               {one, string(must(release.Assemble(payload, []release.Signature{sig(payload, a), forge(header(kid(b), "release"), payload, b)}))), release.CodeWrongKind},
	} {
		got, signers, err := c.trust.Activation([]byte(c.doc), here)
		if code(err) != c.want || signers != nil || !reflect.DeepEqual(got, release.Activation{}) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for name, p := range respelled(t, string(payload)) {
		if len(p) > release.MaxStatement {
			continue
		}
		_, _, err := one.Activation([]byte(document([]byte(p), forge(header(kid(a), "activation"), []byte(p), a))), here)
		if c := code(err); c != release.CodeMalformed && c != release.CodeWrongKind {
			t.Errorf("%s, though signed: %v", name, err)
		}
	}
	if _, _, err := one.Activation([]byte(good), here); err != nil {
		t.Error(err)
	}
}

func TestScope(t *testing.T) {
	a := newKey()
	trust := trusting(1, a)
	for name, c := range map[string]struct {
		change func(*release.Scope)
		code   string
		want   string
	}{
		"account": {func(s *release.Scope) { s.Account = "210987654321" }, release.CodeWrongAccount, `wrong_account: account is "123456789012", want "210987654321"`},
		"root":    {func(s *release.Scope) { s.Root = "/gatehouse/dev" }, release.CodeWrongRoot, `wrong_root: root is "/gatehouse/prod", want "/gatehouse/dev"`},
		"stage":   {func(s *release.Scope) { s.Stage = "PROD" }, release.CodeWrongStage, `wrong_stage: stage is "prod", want "PROD"`},
		"two":     {func(s *release.Scope) { s.Root, s.Stage = "/a", "b" }, release.CodeWrongRoot, `stage is "prod", want "b"`},
		"all":     {func(s *release.Scope) { *s = release.Scope{} }, release.CodeWrongAccount, `stage is "prod", want ""`},
	} {
		in := here
		c.change(&in)
		payload := must(release.Payload(plainActivation()))
		_, signers, err := trust.Activation([]byte(signed(payload, a)), in)
		if code(err) != c.code || !strings.Contains(err.Error(), c.want) || signers != nil {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		// Of what nobody trusted signed, no more is said than that.
		if _, _, err := trust.Activation([]byte(signed(payload, newKey())), in); code(err) != release.CodeSignatureMissing {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsSayHowManyAndWho(t *testing.T) {
	a, b := newKey(), newKey()
	payload := must(release.Payload(plainActivation()))
	_, _, err := trusting(2, a, b).Activation([]byte(signed(payload, a)), here)
	if want := "below_threshold: 1 of 2 signatures by trusted keys: " + kid(a); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, _, err = trusting(1, a).Activation([]byte(signed(payload, b)), here)
	if want := "signature_missing: none of 1 signatures is by a trusted key: signed by " + kid(b) + "; trusted here: " + kid(a); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, _, err = release.Trust{}.Activation([]byte(signed(payload, b)), here)
	if want := "trusted here: no key"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestTheOtherS: (r, n-s) verifies wherever (r, s) does, so whoever can write the store can make another document of the
// same statement. That gives nothing: a signature is counted by its key and compared with nothing.
func TestTheOtherS(t *testing.T) {
	a := newKey()
	payload := must(release.Payload(plainActivation()))
	s := must(release.Sign(release.KindActivation, payload, a))
	raw := must(b64.DecodeString(s.Signature))
	new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(raw[32:])).FillBytes(raw[32:])
	twin := release.Signature{Protected: s.Protected, Signature: b64.EncodeToString(raw)}
	if twin == s {
		t.Fatal("no twin")
	}
	if _, signers, err := trusting(1, a).Activation([]byte(document(payload, twin)), here); err != nil || len(signers) != 1 {
		t.Errorf("%q, %v", signers, err)
	}
	if _, _, err := trusting(2, a, newKey()).Activation([]byte(document(payload, s, twin)), here); code(err) != release.CodeMalformed {
		t.Error(err)
	}
}

func TestMaxSignatures(t *testing.T) {
	keys := make([]release.Signer, release.MaxSignatures+1)
	for n := range keys {
		keys[n] = newKey()
	}
	payload := must(release.Payload(largestActivation()))
	doc := signed(payload, keys[:release.MaxSignatures]...)
	if _, signers, err := trusting(release.MaxSignatures, keys...).Activation([]byte(doc), here); code(err) != release.CodeWrongRoot {
		t.Errorf("%q, %v", signers, err)
	}
	var sigs []release.Signature
	for _, k := range keys {
		sigs = append(sigs, must(release.Sign(release.KindActivation, payload, k)))
	}
	if _, err := release.Assemble(payload, sigs); code(err) != release.CodeMalformed || !strings.Contains(err.Error(), "4288 bytes with 8 signatures, at most 4096") {
		t.Error(err)
	}
	// An ordinary one has room for twice as many.
	payload, sigs = must(release.Payload(plainActivation())), nil
	for range 14 {
		sigs = append(sigs, must(release.Sign(release.KindActivation, payload, newKey())))
	}
	if doc, err := release.Assemble(payload, sigs); err != nil {
		t.Errorf("%d bytes: %v", len(doc), err)
	}
}

func TestAssemble(t *testing.T) {
	a, b, c := newKey(), newKey(), newKey()
	payload := must(release.Payload(plainActivation()))
	doc := signed(payload, a, b, c)
	if other := signed(payload, c, a, b); len(other) != len(doc) {
		t.Errorf("%s\n%s", doc, other)
	}
	var read struct {
		Payload    string
		Signatures []release.Signature
	}
	if err := json.Unmarshal([]byte(doc), &read); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(read.Signatures)
	if again := must(release.Assemble(payload, read.Signatures)); string(again) != doc || read.Payload != b64.EncodeToString(payload) {
		t.Errorf("%s\n%s", doc, again)
	}
	s := must(release.Sign(release.KindActivation, payload, a))
	for name, test := range map[string]struct {
		sigs []release.Signature
		code string
		want string
	}{
		"none":    {nil, release.CodeSignatureMissing, "assemble: no signatures"},
		"twice":   {[]release.Signature{s, s}, release.CodeMalformed, "two by key " + kid(a)},
		"damaged": {[]release.Signature{s, {}}, release.CodeMalformed, "signatures[1]: protected"},
	} {
		if doc, err := release.Assemble(payload, test.sigs); code(err) != test.code || !strings.Contains(err.Error(), test.want) || doc != nil {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

func TestParseSignature(t *testing.T) {
	a := newKey()
	s := must(release.Sign(release.KindRelease, must(release.Payload(someRelease())), a))
	doc := string(must(json.Marshal(s)))
	got, err := release.ParseSignature([]byte(doc))
	if id, err2 := got.KeyID(); err != nil || err2 != nil || got != s || id != kid(a) {
		t.Errorf("%+v of %s: %v, %v", got, id, err, err2)
	}
	for name, other := range map[string]string{
		"space":          doc + " ",
		"disorder":       `{"signature":"` + s.Signature + `","protected":"` + s.Protected + `"}`,
		"header":         `{"header":{},` + doc[1:],
		"no signature":   `{"protected":"` + s.Protected + `"}`,
		"null":           "null",
		"nothing":        "",
		"damaged":        doc[:len(doc)-3] + `"}`,
		"too large":      doc + strings.Repeat(" ", release.MaxStatement),
		"protected none": `{"protected":"` + b64.EncodeToString([]byte(`{"alg":"none"}`)) + `","signature":"` + s.Signature + `"}`,
	} {
		if got, err := release.ParseSignature([]byte(other)); code(err) != release.CodeMalformed || got != (release.Signature{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if id, err := (release.Signature{}).KeyID(); code(err) != release.CodeMalformed || id != "" {
		t.Errorf("%q, %v", id, err)
	}
}

// remote is a key that is elsewhere: all that is known of it is what it answers.
type remote struct {
	public crypto.PublicKey
	sign   func(digest []byte) ([]byte, error)
}

func (r remote) Public() crypto.PublicKey { return r.public }

func (r remote) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.SHA256 {
		return nil, errors.New("want SHA-256")
	}
	return r.sign(digest)
}

// TestSignPadsShortIntegers signs until r and s have had leading zero bytes, and with the highest bit set a byte too many.
func TestSignPadsShortIntegers(t *testing.T) {
	private := newKey().(*ecdsa.PrivateKey)
	var shortR, shortS, longR, longS int
	key := remote{private.Public(), func(digest []byte) ([]byte, error) {
		der, err := ecdsa.SignASN1(rand.Reader, private, digest)
		var p struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &p); err != nil {
			return nil, err
		}
		for _, c := range []struct {
			of          *big.Int
			short, long *int
		}{{p.R, &shortR, &longR}, {p.S, &shortS, &longS}} {
			if c.of.BitLen() <= 248 {
				*c.short++
			}
			if c.of.BitLen() == 256 {
				*c.long++
			}
		}
		return der, err
	}}
	trust := trusting(1, private)
	a := plainActivation()
	for n := int64(1); n <= 1000 || shortR == 0 || shortS == 0; n++ {
		a.Sequence = n
		payload := must(release.Payload(a))
		if _, _, err := trust.Activation([]byte(signed(payload, key)), here); err != nil {
			t.Fatal(err)
		}
	}
	if longR == 0 || longS == 0 {
		t.Errorf("none with the highest bit set: %d, %d", longR, longS)
	}
}

func TestSignRefuses(t *testing.T) {
	private := newKey().(*ecdsa.PrivateKey)
	answering := func(der []byte, err error) release.Signer {
		return remote{private.Public(), func([]byte) ([]byte, error) { return der, err }}
	}
	ints := func(r, s *big.Int) []byte { return must(asn1.Marshal(struct{ R, S *big.Int }{r, s})) }
	good := must(ecdsa.SignASN1(rand.Reader, private, make([]byte, 32)))
	huge := new(big.Int).Lsh(big.NewInt(1), 256)
	payload := must(release.Payload(someRelease()))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	for name, c := range map[string]struct {
		kind    string
		payload []byte
		key     release.Signer
		want    string
	}{
		"no kind":            {"", payload, private, `wrong_kind: kind is "", want "release" or "activation"`},
		"another kind":       {release.KindActivation, payload, private, `wrong_kind: payload: kind is "release"`},
		"no statement":       {release.KindRelease, []byte("{}"), private, "wrong_kind"},
		"another spelling":   {release.KindRelease, append(slices.Clone(payload), ' '), private, "malformed"},
		"P-384":              {release.KindRelease, payload, p384, "sign: the key is a *ecdsa.PublicKey, want one of ECDSA on P-256"},
		"no ECDSA":           {release.KindRelease, payload, remote{public: "x"}, "sign: the key is a string"},
		"a key that fails":   {release.KindRelease, payload, answering(nil, errors.New("KMS is down")), "sign: key " + kid(private) + ": KMS is down"},
		"no DER":             {release.KindRelease, payload, answering([]byte("x"), nil), "what it answered is no signature"},
		"raw":                {release.KindRelease, payload, answering(make([]byte, 64), nil), "what it answered is no signature"},
		"of something else":  {release.KindRelease, payload, answering(good, nil), "what it answered is no signature"},
		"more than DER":      {release.KindRelease, payload, answering(append(slices.Clone(good), 0), nil), "and nothing else"},
		"r of 257 bits":      {release.KindRelease, payload, answering(ints(huge, big.NewInt(1)), nil), "not two positive integers of 256 bits"},
		"s of 257 bits":      {release.KindRelease, payload, answering(ints(big.NewInt(1), huge), nil), "not two positive integers of 256 bits"},
		"r is 0":             {release.KindRelease, payload, answering(ints(new(big.Int), big.NewInt(1)), nil), "not two positive integers"},
		"s is negative":      {release.KindRelease, payload, answering(ints(big.NewInt(1), big.NewInt(-1)), nil), "not two positive integers"},
		"by another than it": {release.KindRelease, payload, remote{newKey().Public(), func(d []byte) ([]byte, error) { return ecdsa.SignASN1(rand.Reader, private, d) }}, "what it answered is no signature"},
	} {
		if s, err := release.Sign(c.kind, c.payload, c.key); err == nil || !strings.Contains(err.Error(), c.want) || s != (release.Signature{}) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestRefusalsNameTheFault: that a spelling is not the one spelling is said only where there is nothing better to say.
func TestRefusalsNameTheFault(t *testing.T) {
	a := newKey()
	trust := trusting(1, a)
	payload := must(release.Payload(plainActivation()))
	good := signed(payload, a)
	large := strings.Repeat(" ", release.MaxStatement)
	headed := func(header string) string { return document(payload, forge(header, payload, a)) }
	activation := func(doc string) error { _, _, err := trust.Activation([]byte(doc), here); return err }
	statement := func(doc string) error { _, err := release.ParseActivation([]byte(doc)); return err }
	signature := func(doc string) error { _, err := release.ParseSignature([]byte(doc)); return err }
	one := string(marshal(must(release.Sign(release.KindActivation, payload, a))))
	for name, c := range map[string]struct {
		read      func(string) error
		doc, want string
	}{
		"alg":                       {activation, headed(`{"alg":"none","kid":"` + kid(a) + `","typ":"gatehouse-activation+json"}`), `alg is "none", want ES256`},
		"header's member":           {activation, headed(`{"crit":[],` + header(kid(a), "activation")[1:]), `"crit"`},
		"document's member":         {activation, `{"more":1,` + good[1:], `"more"`},
		"document's size":           {activation, good + large, fmt.Sprintf("%d bytes, at most 4096", len(good)+4096)},
		"signature's member":        {signature, `{"header":{},` + one[1:], `"header"`},
		"signature's size":          {signature, one + large, fmt.Sprintf("%d bytes, at most 4096", len(one)+4096)},
		"statement's member":        {statement, `{"more":1,` + string(payload)[1:], `"more"`},
		"statement's size":          {statement, string(payload) + large, fmt.Sprintf("%d bytes, at most 4096", len(payload)+4096)},
		"statement's spelling":      {statement, string(payload) + "\n", "not in its one spelling"},
		"signature in the document": {activation, strings.Replace(good, `{"protected"`, `{"header":{},"protected"`, 1), `"/signatures/0"`},
	} {
		if err := c.read(c.doc); code(err) != release.CodeMalformed || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
