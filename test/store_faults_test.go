package test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
	"gatehouse/internal/bundle"
	"gatehouse/internal/follow"
	"gatehouse/internal/issuer"
	"gatehouse/internal/release"
	"gatehouse/internal/store"
	"gatehouse/policies"
	"gatehouse/test/parameterstore"
)

// storeFault is something that goes wrong while v1 is active, by activation 5. do makes it so, and gives the way back: to
// a store in which v2 is active by a later activation.
type storeFault struct {
	name     string
	code     string // of the status lines
	says     string // and what their message has
	settings []string
	signers  int // 0: one
	do       func(w *storeWorld) (lift func())
}

const (
	unavailable = "policy_unavailable"
	staleCode   = "policy_stale"
)

// newer makes v2 active, which ends whatever was wrong with what was active.
func (w *storeWorld) newer() { w.active(50, "v2") }

// activates is a fault that lies in what is active.
func activates(document func(w *storeWorld) string) func(w *storeWorld) func() {
	return func(w *storeWorld) func() {
		w.activate(document(w))
		return w.newer
	}
}

// naming is activates where what is signed is all right, and what it names is not.
func naming(policy func(w *storeWorld) release.Content) func(w *storeWorld) func() {
	return activates(func(w *storeWorld) string { return w.signed(w.statement(6, policy(w))) })
}

// changed is activates for v2, changed.
func changed(change func(a *release.Activation)) func(w *storeWorld) func() {
	return activates(func(w *storeWorld) string { return w.signed(w.statement(6, w.policy("v2", nil), change)) })
}

// files is naming for a v2 of which some files are others.
func files(changed map[string]string) func(w *storeWorld) func() {
	return naming(func(w *storeWorld) release.Content { return w.policy("v2", changed) })
}

// parameter is a fault that lies in a parameter of v2, or of its configuration. It can be mended behind everybody's back.
func parameter(change func(w *storeWorld, v2 release.Content)) func(w *storeWorld) func() {
	return func(w *storeWorld) func() {
		v2 := w.policy("v2", nil)
		change(w, v2)
		w.activate(w.signed(w.statement(6, v2)))
		return func() { w.policy("v2", nil) }
	}
}

func part(c release.Content, n int) string {
	return storeRoot + "/bundles/" + c.Digest + "/" + strconv.Itoa(n)
}

// move copies a parameter's value over another's.
func (w *storeWorld) move(to, from string) {
	w.t.Helper()
	value, ok := w.ssm.Get(from)
	if !ok {
		w.t.Fatalf("%s is not there", from)
	}
	w.ssm.Set(to, value)
}

// rewrite changes the JSON of an activation of v2 that is signed.
func rewrite(change func(doc map[string]any)) func(w *storeWorld) func() {
	return activates(func(w *storeWorld) string {
		doc := unmarshal[map[string]any](w.signed(w.statement(6, w.policy("v2", nil))))
		change(doc)
		text, err := json.Marshal(doc) // members in order of their names, as Assemble has them
		if err != nil {
			w.t.Fatal(err)
		}
		return string(text)
	})
}

// forged signs a payload whatever it is, as whatever it is to be (RFC 7515 section 5.1), which release.Sign refuses to.
func forged(typ string, statement func(w *storeWorld) any) func(w *storeWorld) func() {
	return activates(func(w *storeWorld) string {
		payload, err := release.Payload(statement(w))
		if err != nil {
			w.t.Fatal(err)
		}
		key := w.keys[0].Public().(*ecdsa.PublicKey)
		protected := b64.EncodeToString(fmt.Appendf(nil, `{"alg":"ES256","kid":"%s","typ":"%s"}`, release.KeyID(key), typ))
		digest := sha256.Sum256([]byte(protected + "." + b64.EncodeToString(payload)))
		der, err := w.keys[0].Sign(rand.Reader, digest[:], crypto.SHA256)
		var point struct{ R, S *big.Int }
		if err == nil {
			_, err = asn1.Unmarshal(der, &point)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		raw := make([]byte, 64)
		point.R.FillBytes(raw[:32])
		point.S.FillBytes(raw[32:])
		return string(fmt.Appendf(nil, `{"payload":"%s","signatures":[{"protected":"%s","signature":"%s"}]}`,
			b64.EncodeToString(payload), protected, b64.EncodeToString(raw)))
	})
}

func anActivation(w *storeWorld) any { return w.statement(6, w.policy("v2", nil)) }

func asRelease(w *storeWorld) any {
	a := w.statement(6, w.policy("v2", nil))
	return release.Release{Kind: release.KindRelease, Version: release.Version, Scope: a.Scope, Number: 6, Bundle: a.Bundle, Engine: "opa"}
}

// squeezed gives what gzip makes of a text, and of nothing but zeroes after it.
func squeezed(t testing.TB, head string, zeroes int) []byte {
	t.Helper()
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // a level that exists
	_, err := z.Write([]byte(head))
	block := make([]byte, 1<<20)
	for ; err == nil && zeroes > 0; zeroes -= len(block) {
		_, err = z.Write(block)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bomb is an archive that is nothing but one, under a digest that somebody who may sign has signed.
func bomb(head string, zeroes int) func(w *storeWorld) func() {
	return naming(func(w *storeWorld) release.Content {
		return w.put("bundles", strings.Repeat("b", 64), squeezed(w.t, head, zeroes))
	})
}

// tarHeader is the header of a file with a size of so many octal digits, or of base 256 (GNU tar).
func tarHeader(name, size string) string {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], size)
	copy(h[136:], "00000000000\x00        0")
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x000000000\x00")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00", sum))
	return string(h)
}

var storeFaults = []storeFault{
	// The store.
	{name: "down", code: "store_unavailable", says: "connection refused", do: func(w *storeWorld) func() {
		w.ssm.Stop()
		return func() { w.newer(); w.ssm.Restart(w.t) }
	}},
	{name: "hung up on", code: "store_unavailable", says: "EOF", do: befalls(parameterstore.Faults{Down: true})},
	{name: "throttled", code: "store_unavailable", says: "ThrottlingException", do: befalls(parameterstore.Faults{Throttle: parameterstore.All})},
	{name: "answers cut off", code: "store_unavailable", says: "unexpected EOF", do: befalls(parameterstore.Faults{Truncate: parameterstore.All})},
	{name: "answers lost", code: "store_unavailable", says: "EOF", do: befalls(parameterstore.Faults{Lose: parameterstore.All})},
	{name: "parts not to be had", code: "store_unavailable", says: "EOF", do: befalls(parameterstore.Faults{Only: "GetParameters", Down: true})},

	// What is stored.
	{name: "nothing active", code: "activation_missing", says: "not found", do: func(w *storeWorld) func() {
		w.ssm.Remove(storeRoot + "/active")
		return w.newer
	}},
	{name: "a part missing", code: "content_missing", says: "/2: not found", do: parameter(func(w *storeWorld, v2 release.Content) { w.ssm.Remove(part(v2, 2)) })},
	{name: "another bundle's part", code: "content_mismatch", says: "bundles/", do: parameter(func(w *storeWorld, v2 release.Content) {
		w.move(part(v2, 1), part(w.policy("v1", nil), 1))
	})},
	{name: "another part of the same", code: "content_mismatch", says: "bundles/", do: parameter(func(w *storeWorld, v2 release.Content) { w.move(part(v2, 2), part(v2, 1)) })},
	{name: "another bundle, whole", code: "content_mismatch", says: "its digest is", do: func(w *storeWorld) func() {
		both := w.policy("both", nil) // sound, and all too generous
		v2 := w.policy("v2", nil)
		for n := range both.Parts {
			w.move(part(v2, n+1), part(both, n+1))
		}
		v2.Parts = both.Parts
		w.activate(w.signed(w.statement(6, v2)))
		return w.newer
	}},
	{name: "fewer parts named than there are", code: "content_mismatch", says: "bundles/", do: changed(func(a *release.Activation) { a.Bundle.Parts-- })},
	{name: "more parts named than there are", code: "content_missing", says: "not found", do: changed(func(a *release.Activation) { a.Bundle.Parts++ })},

	// The signatures.
	{name: "a wrong signature", code: "signature_invalid", says: "not made by", do: rewrite(func(doc map[string]any) {
		s := doc["signatures"].([]any)[0].(map[string]any)
		raw, _ := b64.DecodeString(s["signature"].(string))
		raw[7] ^= 1
		s["signature"] = b64.EncodeToString(raw)
	})},
	{name: "the signature of another payload", code: "signature_invalid", says: "not made by", do: rewrite(func(doc map[string]any) {
		payload, _ := b64.DecodeString(doc["payload"].(string))
		doc["payload"] = b64.EncodeToString(bytes.Replace(payload, []byte(`"sequence":6`), []byte(`"sequence":7`), 1))
	})},
	{name: "no signature", code: "signature_missing", says: "none of 0 signatures", do: rewrite(func(doc map[string]any) { doc["signatures"] = []any{} })},
	{name: "no signatures", code: "malformed", says: "signatures", do: rewrite(func(doc map[string]any) { delete(doc, "signatures") })},
	{name: "a payload alone", code: "malformed", says: "activation", do: activates(func(w *storeWorld) string {
		payload, err := release.Payload(w.statement(6, w.policy("v2", nil)))
		if err != nil {
			w.t.Fatal(err)
		}
		return string(payload)
	})},
	{name: "somebody's signature", code: "signature_missing", says: "none of 1 signatures", do: activates(func(w *storeWorld) string {
		return w.sign(w.statement(6, w.policy("v2", nil)), release.KindActivation, newSigner(w.t))
	})},
	{name: "one signature of two", code: "below_threshold", says: "1 of 2", signers: 2, do: activates(func(w *storeWorld) string {
		return w.sign(w.statement(6, w.policy("v2", nil)), release.KindActivation, w.keys[0])
	})},
	{name: "one of two, and somebody's", code: "below_threshold", says: "1 of 2", signers: 2, do: activates(func(w *storeWorld) string {
		return w.sign(w.statement(6, w.policy("v2", nil)), release.KindActivation, w.keys[1], newSigner(w.t))
	})},

	// The statement.
	{name: "a release", code: "wrong_kind", says: "release", do: forged("gatehouse-release+json", asRelease)},
	{name: "a release, signed as an activation", code: "wrong_kind", says: "release", do: forged("gatehouse-activation+json", asRelease)},
	{name: "an activation, signed as a release", code: "wrong_kind", says: "release", do: forged("gatehouse-release+json", anActivation)},
	{name: "an activation, signed as anything", code: "malformed", says: "typ", do: forged("JWT", anActivation)},
	{name: "another stage's", code: "wrong_stage", says: `"dev"`, do: changed(func(a *release.Activation) { a.Stage = "dev" })},
	{name: "another root's", code: "wrong_root", says: `"/gatehouse/dev"`, do: changed(func(a *release.Activation) { a.Root = "/gatehouse/dev" })},
	{name: "another account's", code: "wrong_account", says: `"999999999999"`, do: changed(func(a *release.Activation) { a.Account = "999999999999" })},
	{name: "replayed", code: "sequence_lower", says: "activation 3", settings: []string{"GATEHOUSE_MIN_SEQUENCE=5"}, do: changed(func(a *release.Activation) { a.Sequence = 3 })},

	// What it names, signed by who may.
	{name: "zeroes", code: "content_mismatch", says: "read archive", do: bomb("", 400<<20)},
	{name: "a file of 2^50 bytes", code: "content_mismatch", says: "read archive", do: bomb(tarHeader("a/data.json", "\x80\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00"), 1<<20)},
	{name: "a file of 8 GB", code: "content_mismatch", says: "bytes: at most", do: bomb(tarHeader("a/data.json", "77777777777\x00"), 400<<20)},
	{name: "more files than there may be", code: "content_mismatch", says: "more than", do: naming(func(w *storeWorld) release.Content {
		var tar strings.Builder
		for n := range 40 {
			tar.WriteString(tarHeader(fmt.Sprintf("a/%03d/data.json", n), "00004000000\x00") + strings.Repeat(" ", 1<<20))
		}
		return w.put("bundles", strings.Repeat("b", 64), squeezed(w.t, tar.String(), 0))
	})},
	{name: "Rego that does not compile", code: "load_failed", says: "undefined", do: files(map[string]string{
		"authz/orders/more.rego": "package authz.orders\n\nallow contains \"x\" if undefined(1)\n",
	})},
	{name: "Rego that does not parse", code: "load_failed", says: "more.rego", do: files(map[string]string{
		"authz/orders/more.rego": "package authz.orders\n\nallow contains",
	})},
	{name: "Rego that sends", code: "load_failed", says: "http.send", do: files(map[string]string{
		"authz/orders/more.rego": "package authz.orders\n\nallow contains \"x\" if http.send({\"method\": \"GET\", \"url\": \"https://example.com\"}).status_code == 200\n",
	})},
	{name: "no entrypoint", code: "load_failed", says: "data.gatehouse.decision", do: files(map[string]string{"gatehouse/decision.rego": ""})},
	{name: "a configuration that does not load", code: "load_failed", says: "issuers", do: activates(func(w *storeWorld) string {
		doc := []byte(`{"version":"v1"}`)
		auth0 := w.put("auth0", bundle.Sum(doc), doc)
		return w.signed(w.statement(6, w.policy("v2", nil), func(a *release.Activation) { a.Auth0 = auth0 }))
	})},
	{name: "a fallback that is not there", code: "content_missing", says: strings.Repeat("f", 64), do: changed(func(a *release.Activation) {
		end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		a.NotAfter, a.Fallback = &end, &release.Target{Release: 1, Bundle: release.Content{Digest: strings.Repeat("f", 64), Parts: 1}}
	})},
}

// befalls is a fault of the store, while v2 is made active in it.
func befalls(f parameterstore.Faults) func(w *storeWorld) func() {
	return func(w *storeWorld) func() {
		w.newer()
		w.ssm.Fault(f)
		return func() { w.ssm.Fault(parameterstore.Faults{}) }
	}
}

// Whatever goes wrong: a running authorizer answers as before, one that starts meanwhile is closed, both say why, and both
// go on by themselves when it is over.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	atOnce(t, storeFaults, func(f storeFault) string { return f.name }, func(t *testing.T, f storeFault) {
		w := newStoreWorld(t, max(f.signers, 1))
		w.active(5, "v1")
		warm := w.start(f.settings...)
		warm.keeps("v1", "")

		lift := f.do(w)
		status := warm.keeps("v1", f.code)
		if b := status.Bundles["gatehouse"]; !strings.Contains(b.Message, f.says) || b.Sequence != 5 {
			t.Errorf("the status lacks %q or is not by activation 5: %+v", f.says, b)
		}
		if refused := map[bool]int{true: 0, false: 1}[f.code == "store_unavailable"]; status.ActivationRefused != refused || status.PolicyStale != 0 {
			t.Errorf("metrics are %+v", status)
		}
		cold := w.start(f.settings...)
		status = cold.keeps(unavailable, f.code)
		if b := status.Bundles["gatehouse"]; !strings.Contains(b.Message, f.says) || status.PolicyStale != 1 {
			t.Errorf("the status of a cold start lacks %q or is not stale: %+v", f.says, status)
		}
		warm.becomes("v1", "policy_replaced") // it slept meanwhile: the request that wakes it may be closed
		warm.keeps("v1", "")

		lift()
		warm.becomes("v2", "v1")
		cold.becomes("v2", unavailable)
		for what, p := range map[string]*instance{"warm": warm, "cold": cold} {
			if peak := p.peak(); peak > 64<<20 {
				t.Errorf("the %s process took %d MB", what, peak>>20)
			}
		}
	})
}

// peak is the most memory that the process ever had (proc(5), VmHWM).
func (p *instance) peak() int {
	p.w.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.w.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(after)
	if len(fields) < 2 || fields[1] != "kB" {
		p.w.t.Fatalf("no VmHWM in %s", status)
	}
	kilobytes, err := strconv.Atoi(fields[0])
	if err != nil {
		p.w.t.Fatal(err)
	}
	return kilobytes << 10
}

// What the client of the store mends by itself is no fault.
func TestStoreFaultsThatPass(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]parameterstore.Faults{
		"throttled once":       {Throttle: 1},
		"cut off twice":        {Truncate: 2},
		"lost once":            {Lose: 1},
		"answers in no order":  {Reorder: true},
		"slow":                 {Delay: 100 * time.Millisecond},
		"slow parts, in a mix": {Only: "GetParameters", Delay: 300 * time.Millisecond, Reorder: true, Truncate: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newStoreWorld(t, 1)
			w.active(5, "v1")
			warm := w.start()
			warm.keeps("v1", "")
			w.ssm.Fault(f)
			w.active(6, "v2")
			warm.becomes("v2", "v1")
			w.ssm.Fault(f)
			cold := w.start()
			cold.keeps("v2", "")
			for _, p := range []*instance{warm, cold} {
				if codes := p.codes(); !slices.Equal(codes, []string{""}) {
					t.Errorf("statuses have the codes %q", codes)
				}
			}
		})
	}
}

// Without a store at the start everything is closed, baked content or not; it opens by itself.
func TestStoreDownAtStart(t *testing.T) {
	t.Parallel()
	for _, baked := range []bool{false, true} {
		t.Run(map[bool]string{true: "baked", false: "bare"}[baked], func(t *testing.T) {
			t.Parallel()
			w := newStoreWorld(t, 1)
			v1 := w.statement(5, w.policy("v1", nil))
			w.activate(w.signed(v1))
			var settings []string
			if baked {
				settings = append(settings, w.bake(v1))
			}
			w.ssm.Stop()
			p := w.start(settings...)
			status := p.keeps(unavailable, "store_unavailable")
			if status.PolicyStale != 1 || !strings.Contains(status.Bundles["gatehouse"].Message, "connection refused") {
				t.Errorf("status is %+v", status)
			}
			w.ssm.Restart(t)
			p.becomes("v1", unavailable)
		})
	}
}

// Down for longer than the bound: closed until the store answers again, by what is active then.
func TestStoreDownForTooLong(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]parameterstore.Faults{
		"hung up on": {Down: true}, "hanging": {Delay: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newStoreWorld(t, 1)
			w.active(5, "v1")
			p := w.start("GATEHOUSE_MAX_STALE=1s")
			p.keeps("v1", "")
			w.ssm.Fault(fault)
			w.active(6, "v2")
			p.becomes(staleCode, "v1")
			if a := p.ask(orders, w.bearer); a.effect != "Unavailable" || a.Error.Code != staleCode || a.Result != nil {
				t.Errorf("answered %s, %+v", a.effect, a.Error)
			}
			// The status of a check is as of its beginning.
			for end := time.Now().Add(soon); name != "hanging"; {
				status := p.keeps(staleCode, "store_unavailable")
				if status.PolicyStale == 1 && status.PolicyAge >= 1 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("no status is stale: %+v", status)
				}
			}
			w.ssm.Fault(parameterstore.Faults{})
			p.becomes("v2", staleCode)
		})
	}
}

// A store that is slow costs a request its budget and no more, and one request per check at that.
func TestStoreDelays(t *testing.T) {
	t.Parallel()
	w := newStoreWorld(t, 1)
	w.active(5, "v1")
	p := w.start()
	p.keeps("v1", "")
	w.ssm.Reset()
	w.ssm.Fault(parameterstore.Faults{Delay: time.Second})
	slow, asked := 0, 0
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		a := p.ask(orders, w.bearer)
		asked++
		waited := time.Duration(a.Metrics["timer_gatehouse_confirm_ns"])
		if waited > 100*time.Millisecond {
			slow++
		}
		if waited > follow.Budget+250*time.Millisecond || a.effect != "Allow" {
			t.Errorf("answered %s after a wait of %s", a.effect, waited)
		}
	}
	if calls := w.ssm.Calls()["GetParameter"]; slow > calls+1 || calls < 2 || asked < 20 {
		t.Errorf("%d of %d requests waited for %d checks", slow, asked, calls)
	}
	w.active(6, "v2")
	p.becomes("v2", "v1")
}

// Nobody goes back: not a running process, not one with a floor, not one whose zip is newer.
func TestStoreReplays(t *testing.T) {
	t.Parallel()
	w := newStoreWorld(t, 1)
	w.active(3, "both")
	older, _ := w.ssm.Get(storeRoot + "/" + store.Active)
	v1 := w.statement(5, w.policy("v1", nil))
	w.activate(w.signed(v1))
	baked := w.bake(v1)
	warm := w.start()
	warm.keeps("v1", "")

	w.activate(older)
	warm.keeps("v1", "sequence_lower")
	floors := []*instance{w.start("GATEHOUSE_MIN_SEQUENCE=4"), w.start(baked), w.start(baked, "GATEHOUSE_MIN_SEQUENCE=2")}
	for _, p := range floors {
		p.keeps(unavailable, "sequence_lower")
	}
	// What no floor can tell: the residual risk (docs/adr).
	w.start().keeps("both", "")
	w.start("GATEHOUSE_MIN_SEQUENCE=3").keeps("both", "")

	// Another one of the same number.
	w.activate(w.signed(w.statement(5, w.policy("v2", nil))))
	warm.keeps("v1", "sequence_reused")

	w.newer()
	warm.becomes("v2", "v1")
	for _, p := range floors {
		p.becomes("v2", unavailable)
	}
}

// A break-glass activation ends by the clock, to the second, whether the store answers or not; and whoever starts later
// never had it.
func TestStoreBreakGlassEnds(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		t.Run(map[bool]string{true: "store down", false: "store up"}[down], func(t *testing.T) {
			t.Parallel()
			w := newStoreWorld(t, 1)
			w.active(5, "v1")
			p := w.start()
			p.keeps("v1", "")
			end := time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
			w.active(6, "both", func(a *release.Activation) {
				a.NotAfter, a.Fallback = &end, &release.Target{Release: 5, Bundle: w.policy("v1", nil)}
			})
			p.becomes("both", "v1")
			if down {
				w.ssm.Stop()
			}
			before, after := 0, 0
			for after < 5 {
				a := p.ask(users, w.bearer)
				want := "both"
				if !a.Timestamp.Before(end) {
					want = "v1"
					after++
				} else {
					before++
				}
				if got := w.name(a); got != want || a.Bundles["activation"].Revision != "6" {
					t.Fatalf("%s from the end: answered by %s, want %s: %v", a.Timestamp.Sub(end), got, want, a.Bundles)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if before == 0 {
				t.Error("never answered by the break-glass activation")
			}
			if down {
				w.ssm.Restart(t)
			}
			w.start().keeps("v1", "")
			p.keeps("v1", "")
			w.newer()
			p.becomes("v2", "v1")
		})
	}
}

// Who can write parameters and has no key makes nobody of his own issuer's a caller: neither before, nor by what he wrote,
// nor after.
func TestStoreWriterWithoutAKey(t *testing.T) {
	t.Parallel()
	theirs := newTenant(t)
	auth0 := strings.ReplaceAll(theirs.auth0, tenantURL, "https://attacker.example/")
	now := time.Now()
	token, err := issuer.Mint(theirs.key, "https://attacker.example/", issuer.Claims{
		Subject: "auth0|adm", Audience: issuer.Audience, Permissions: []string{"read:orders", "admin:users"}, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	over := func(w *storeWorld, room, digest string, content []byte) { w.put(room, digest, content) }
	tests := []storeFault{
		{name: "his configuration in the place of ours", code: "content_mismatch", do: func(w *storeWorld) func() {
			over(w, "auth0", w.auth0.Digest, []byte(auth0))
			return func() { over(w, "auth0", w.auth0.Digest, []byte(w.tenant.auth0)) }
		}},
		{name: "his policy in the place of ours", code: "content_mismatch", do: func(w *storeWorld) func() {
			archive, err := storePolicy(w.t, "both", nil).Archive()
			if err != nil {
				w.t.Fatal(err)
			}
			over(w, "bundles", storePolicy(w.t, "v1", nil).Digest, archive)
			return func() { w.policy("v1", nil) }
		}},
		{name: "his activation, by his key", code: "signature_missing", do: func(w *storeWorld) func() {
			before, _ := w.ssm.Get(storeRoot + "/" + store.Active)
			his := w.put("auth0", bundle.Sum([]byte(auth0)), []byte(auth0))
			w.activate(w.sign(w.statement(6, w.policy("both", nil), func(a *release.Activation) { a.Auth0 = his }), release.KindActivation, newSigner(w.t)))
			return func() { w.activate(before) }
		}},
	}
	for _, f := range tests {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := newStoreWorld(t, 1)
			w.active(5, "v1")
			warm := w.start()
			refused := func(p *instance, when, want string) {
				t.Helper()
				for _, path := range []string{orders, users} {
					if a := p.ask(path, token); a.effect != want {
						t.Errorf("%s: %s by the attacker's token: %s", when, path, a.effect)
					}
				}
			}
			refused(warm, "before", "Unauthorized")
			lift := f.do(w)
			// A process that holds what is active reads nothing that it names again.
			code := f.code
			if code == "content_mismatch" {
				code = ""
			}
			warm.keeps("v1", code)
			refused(warm, "warm", "Unauthorized")
			cold := w.start()
			cold.keeps(unavailable, f.code)
			refused(cold, "cold", "Unavailable")
			lift()
			cold.becomes("v1", unavailable)
			refused(warm, "warm, after", "Unauthorized")
			refused(cold, "cold, after", "Unauthorized")
		})
	}
}

// A candidate is tried on what is asked, and answers nothing. It is told where it would have decided otherwise.
func TestStoreShadow(t *testing.T) {
	t.Parallel()
	w := newStoreWorld(t, 1)
	w.active(5, "v1", func(a *release.Activation) { a.Candidate = &release.Target{Release: 6, Bundle: w.policy("v2", nil)} })
	var p *instance
	told := func() []authorizer.Difference {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.Clone(p.differences)
	}
	// A machine that is too busy for it turns the candidate off in an instance.
	overrun := func() bool {
		d := told()
		return len(d) == 0 || d[0].Error != nil && d[0].Error.Code == "candidate_overrun"
	}
	for range 10 {
		p = w.start()
		first := p.ask(orders, w.bearer)
		for end := time.Now().Add(soon); len(told()) == 0 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			p.by()
		}
		if !overrun() {
			if d := told()[0]; d.DecisionID == first.DecisionID {
				t.Errorf("a difference in the first invocation: %+v", d)
			}
			break
		}
	}
	if overrun() {
		t.Fatalf("the candidate never told a difference: %+v", told())
	}
	for _, path := range []string{orders, profile, users, profile, orders} {
		before := len(told())
		a := p.ask(path, w.bearer)
		p.ask(profile, w.bearer) // a difference is written after the answer, and before the next one
		differences := told()[before:]
		want := 1
		if path == profile {
			want = 0
		}
		if len(differences) != want {
			t.Fatalf("%s: %d differences, want %d", path, len(differences), want)
		}
		for _, d := range differences {
			if d.DecisionID != a.DecisionID || d.Result.Allowed == d.Candidate.Allowed || d.Bundles["candidate"].Revision != storePolicy(t, "v2", nil).Digest {
				t.Errorf("%s: difference is %+v", path, d)
			}
		}
	}
	if codes := p.codes(); !slices.Equal(codes, []string{""}) {
		t.Errorf("statuses have the codes %q", codes)
	}

	// A candidate that does not load is said, and changes nothing else.
	w.active(7, "v1", func(a *release.Activation) {
		a.Candidate = &release.Target{Release: 7, Bundle: w.policy("none", map[string]string{"gatehouse/decision.rego": ""})}
	})
	if b := p.keeps("v1", "candidate_refused").Bundles["gatehouse"]; !strings.Contains(b.Message, "data.gatehouse.decision") || b.Sequence != 7 {
		t.Errorf("status is %+v", b)
	}
	w.newer()
	p.becomes("v2", "v1")
}

// sized is a variant of so many parts.
func (w *storeWorld) sized(name string, parts int) release.Content {
	w.t.Helper()
	random := rand.Text() + rand.Text()
	for n := 0; ; n += 1500 {
		var filler strings.Builder
		for filler.Len() < n {
			filler.WriteString(rand.Text())
		}
		c := w.policy(name, map[string]string{"attributes/filler/data.json": `["` + random + filler.String() + `"]`})
		if c.Parts == parts {
			return c
		}
		if c.Parts > parts {
			w.t.Fatalf("a policy of %d parts is not to be had: it has %d", parts, c.Parts)
		}
	}
}

func TestStoreCalls(t *testing.T) {
	t.Parallel()
	calls := func(w *storeWorld, what string, least, most, parts int) {
		w.t.Helper()
		got, again := w.ssm.Calls(), w.ssm.Repeated()
		for operation, n := range again { // no call of ours: its first attempt broke off
			w.t.Logf("%s: %d of %s are attempts that the SDK repeated", what, n, operation)
			got[operation] -= n
		}
		if n := got["GetParameter"]; n < least || n > most || got["GetParameters"] != parts || len(got) > 2 {
			w.t.Errorf("%s: %v, want %d to %d of GetParameter, and %d of GetParameters", what, got, least, most, parts)
		}
	}
	for _, tt := range []struct{ parts, batches int }{{9, 1}, {10, 2}, {25, 3}} { // and one of the configuration
		t.Run(fmt.Sprintf("a cold start of %d parts", tt.parts+1), func(t *testing.T) {
			t.Parallel()
			w := newStoreWorld(t, 1)
			v1 := w.statement(5, w.sized("v1", tt.parts))
			w.activate(w.signed(v1))
			p := w.start()
			p.until("a status", func() bool { return len(p.statuses) > 0 })
			calls(w, "without a baked bundle", 1, 1, tt.batches)
			if got := p.by(); got != "v1" {
				t.Errorf("answered by %s", got)
			}

			baked := w.bake(v1)
			w.ssm.Reset()
			p = w.start(baked)
			p.until("a status", func() bool { return len(p.statuses) > 0 })
			calls(w, "with it", 1, 1, 0)
			if got := p.by(); got != "v1" {
				t.Errorf("answered by %s", got)
			}
		})
	}
	t.Run("a cold start of what is compiled in", func(t *testing.T) {
		t.Parallel()
		w := newStoreWorld(t, 1)
		embedded, err := bundle.Read(policies.FS)
		if err != nil {
			t.Fatal(err)
		}
		w.known[embedded.Digest] = grants{"v1", map[string]bool{orders: true}}
		w.activate(w.signed(w.statement(5, release.Content{Digest: embedded.Digest, Parts: 7})))
		w.start().keeps("v1", "")
		if got := w.ssm.Calls()["GetParameters"]; got != 1 {
			t.Errorf("%d calls for the configuration", got)
		}
	})
	t.Run("afterwards", func(t *testing.T) {
		t.Parallel()
		const refresh, rounds = 400 * time.Millisecond, 5
		w := newStoreWorld(t, 1)
		w.active(5, "v1")
		p := w.start("GATEHOUSE_REFRESH=" + refresh.String())
		p.keeps("v1", "")
		w.ssm.Reset()
		time.Sleep(rounds * refresh)
		calls(w, "idle", 0, 0, 0)
		began := time.Now()
		for time.Since(began) < rounds*refresh {
			p.by()
		}
		calls(w, "busy", rounds-1, int(time.Since(began)/refresh)+1, 0)

		// Of an activation, what is not at hand: the policy, and no configuration.
		w.ssm.Reset()
		v2 := w.sized("v2", 11)
		w.activate(w.signed(w.statement(6, v2)))
		p.becomes("v2", "v1")
		calls(w, "a new policy", 1, rounds, 2)
		w.ssm.Reset()
		w.activate(w.signed(w.statement(7, v2, func(a *release.Activation) {
			a.Candidate = &release.Target{Release: 6, Bundle: v2}
		})))
		for end := time.Now().Add(soon); p.ask(orders, w.bearer).Bundles["activation"].Revision != "7"; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("activation 7 is not followed")
			}
		}
		calls(w, "the same policy", 1, rounds, 0)

		// What does not load for good is fetched once.
		w.activate(w.signed(w.statement(8, w.policy("v1", map[string]string{"gatehouse/decision.rego": ""}))))
		p.keeps("v2", "load_failed")
		w.ssm.Reset()
		p.keeps("v2", "load_failed")
		calls(w, "a refused policy", 1, rounds, 0)
	})
}

// A process that was frozen for longer than a refresh answers by what is active now, or is closed: from the first answer on.
func TestStoreFreeze(t *testing.T) {
	t.Parallel()
	type frozen struct {
		name     string
		settings []string
		fault    parameterstore.Faults // when it thaws
		wanting  bool                  // the fault comes before: it is frozen while it waits for the store
		sleep    time.Duration
		closed   string // what it may answer beside what is active
		rounds   int    // 0: two
		late     bool   // it may answer by what was active, where the store does not answer within the budget
	}
	tests := []frozen{
		{name: "the store is quick", sleep: 3 * storeRefresh, rounds: 4},
		{name: "for little longer than a refresh", sleep: 3 * storeRefresh / 2},
		{name: "the store takes most of the budget", sleep: 3 * storeRefresh, fault: parameterstore.Faults{Delay: 150 * time.Millisecond}},
		{name: "the parts take longer than the budget", sleep: 3 * storeRefresh, fault: parameterstore.Faults{Only: "GetParameters", Delay: 400 * time.Millisecond}},
		{name: "for little longer than a refresh, and the parts take longer than the budget", settings: []string{"GATEHOUSE_REFRESH=800ms"},
			sleep: time.Second, fault: parameterstore.Faults{Only: "GetParameters", Delay: 600 * time.Millisecond}},
		{name: "the parts take longer than patience", sleep: 3 * storeRefresh, closed: "policy_replaced", rounds: 1,
			fault: parameterstore.Faults{Only: "GetParameters", Throttle: 2, Delay: 1900 * time.Millisecond}},
		{name: "while it waited for the store", sleep: 3 * storeRefresh, wanting: true, fault: parameterstore.Faults{Delay: 500 * time.Millisecond}},
		{name: "the store takes longer than the budget", sleep: 3 * storeRefresh, late: true, fault: parameterstore.Faults{Delay: 400 * time.Millisecond}},
		{name: "for longer than the bound", settings: []string{"GATEHOUSE_MAX_STALE=500ms"}, sleep: 600 * time.Millisecond,
			fault: parameterstore.Faults{Delay: 400 * time.Millisecond}},
		{name: "for longer than the bound, and the store is down", settings: []string{"GATEHOUSE_MAX_STALE=500ms"}, sleep: 600 * time.Millisecond,
			closed: staleCode, fault: parameterstore.Faults{Down: true}},
	}
	atOnce(t, tests, func(f frozen) string { return f.name }, func(t *testing.T, f frozen) {
		w := newStoreWorld(t, 1)
		w.active(5, "v1")
		p := w.start(f.settings...)
		held, next := "v1", "v2"
		for round := range cmp.Or(f.rounds, 2) {
			p.keeps(held, "")
			if f.wanting { // a request that was answered while its check went on
				time.Sleep(storeRefresh)
				w.ssm.Fault(f.fault)
				p.keeps(held, "")
			}
			thaw := p.freeze()
			// What it had sent is there. If it waits for an answer, that is on its way, and says what was active until now.
			time.Sleep(20*time.Millisecond + map[bool]time.Duration{true: f.fault.Delay}[f.wanting])
			w.active(int64(6+round), next)
			time.Sleep(f.sleep)
			if f.wanting {
				w.ssm.Fault(parameterstore.Faults{})
			} else {
				w.ssm.Fault(f.fault)
			}
			var a answer
			if round%2 == 0 { // Lambda thaws a process and gives it the event, in either order
				thaw()
				a = p.ask(orders, w.bearer)
			} else {
				a = p.ask(orders, w.bearer, thaw)
			}
			got, waited := w.name(a), time.Duration(a.Metrics["timer_gatehouse_confirm_ns"])
			t.Logf("answered by %s, active is %s; waited %s", got, next, waited)
			// A machine that is busy elsewhere makes any store slow: what counts is how long the request waited.
			late := got == held && waited >= follow.Budget && (f.late || f.fault == parameterstore.Faults{})
			if got != next && got != f.closed && !late {
				t.Errorf("round %d: the first answer is by %s, want %s or %q", round, got, next, f.closed)
			}
			w.ssm.Fault(parameterstore.Faults{})
			p.becomes(next, got, held, staleCode, "policy_replaced")
			held, next = next, held
		}
	})
}
