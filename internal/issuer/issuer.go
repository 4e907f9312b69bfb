// Package issuer is an Auth0-like issuer for this machine: it logs the sample people in for a single-page application that
// uses Auth0's SDK, answers the machine client's token requests and signs tokens for the command line, so that the
// authorizer can be run and tried without an Auth0 tenant.
//
// The protocol is github.com/zitadel/oidc's (package op): its routes, its reading and checking of requests and client
// credentials, its grants and its error documents. What is ours is who exists (people.go) and which applications
// (client.go), what a token says (token.go, grant.go), what signs it (key.go), the login and what it leaves behind
// (authorize.go, logout.go, memory.go), and where Auth0 differs from the standard (provider.go): the audience parameter,
// JSON request bodies and the status of a refusal.
//
// It listens on a loopback address only and speaks plain http. Its one client secret is public knowledge and its people
// have no passwords: nothing that it signs may ever be trusted outside this machine. Everything but its keys is in memory,
// bounded in number and age, and ends with it.
//
// A browser sends the session cookie to every port of the host that set it, and, from a hidden iframe, only where page and
// issuer are of one site: silent authentication needs a page under 127.0.0.1 when the issuer is there, not under localhost.
//
// The library reports requests that it refuses, and its routes when it starts, to [log/slog]'s default logger, which
// is the command's to set. Of a request those lines quote at most the path, the grant type, the audience, the scopes, the
// client, the redirect URI and the state. No error of this package holds a token, a secret or a claim's value.
package issuer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Config is what an issuer needs. All of it is required.
type Config struct {
	Addr     string   // loopback IP address and port, "127.0.0.1:8789"; port 0 takes a free one
	Keys     string   // directory of the signing keys, as in LoadOrCreateKey; what is written there later is followed
	Audience string   // the one API that tokens are issued for, "https://api.example.com"
	SPA      []string // origins of the single-page application on this machine, "http://127.0.0.1:8790"
}

// Issuer is a running issuer. Close ends it.
type Issuer struct {
	url    string
	server *http.Server
	served chan struct{} // closed when Serve has returned
	err    error         // why Serve returned; read after served is closed
	unhook func() bool   // detaches from the context given to Start
}

// Start listens and serves until Close is called or ctx ends. When it returns without an error the issuer answers.
// An incomplete or non-loopback Config is refused with all its faults; a port in use is named.
func Start(ctx context.Context, c Config) (*Issuer, error) {
	return start(ctx, c, time.Now)
}

func start(ctx context.Context, c Config, now func() time.Time) (*Issuer, error) {
	addr, err := loopback(c.Addr)
	faults := []error{err, ctx.Err(), originFaults(c.SPA)}
	if c.Keys == "" {
		faults = append(faults, errors.New("no directory of signing keys"))
	}
	if c.Audience == "" {
		faults = append(faults, errors.New("no audience"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("start issuer: %w", err)
	}
	if _, err := LoadOrCreateKey(c.Keys); err != nil {
		return nil, fmt.Errorf("start issuer: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("port %d is in use: end the program that holds it, or choose another port: %w", addr.Port(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("start issuer on %s: %w", addr, err)
	}
	url := "http://" + listener.Addr().String() + "/"
	return serve(ctx, listener, url, newProvider(url, c, now)), nil
}

func serve(ctx context.Context, listener net.Listener, url string, handler http.Handler) *Issuer {
	i := &Issuer{url: url, served: make(chan struct{})}
	i.server = &http.Server{
		Handler:           local(handler),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	go func() {
		defer close(i.served)
		if err := i.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			i.err = fmt.Errorf("serve issuer: %w", err)
		}
	}()
	i.unhook = context.AfterFunc(ctx, func() { _ = i.server.Close() })
	return i
}

// local answers only requests under a name of this machine, so that no page of another site gets a token by pointing its
// own name here (DNS rebinding).
func local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); host != "localhost" && (err != nil || !addr.IsLoopback()) {
			http.Error(w, "this issuer answers under a loopback address only", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// loopback reads an address to listen on. A host name is refused as well: what it resolves to is not ours to promise.
func loopback(s string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		return addr, fmt.Errorf("address %q: want a loopback IP address and port, like 127.0.0.1:8789", s)
	}
	if !addr.Addr().IsLoopback() || addr.Addr().Zone() != "" {
		return addr, fmt.Errorf("address %q: not a loopback address: this issuer's secrets are public, it must not be reachable from elsewhere", s)
	}
	return addr, nil
}

// URL is the issuer as its tokens name it in iss, with Auth0's trailing slash: "http://127.0.0.1:8789/".
func (i *Issuer) URL() string { return i.url }

// Close ends the issuer, dropping requests in flight, and waits until nothing of it is left. It tells why the issuer
// had ended before, if it had by a fault. Closing twice is fine.
func (i *Issuer) Close() error {
	i.unhook()
	err := i.server.Close()
	<-i.served
	return errors.Join(i.err, err)
}
