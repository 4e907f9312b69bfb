package issuer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// The sample API and its machine client, for development on one machine.
const (
	Audience      = "https://api.example.com"         // identifier of the sample API
	MachineID     = "robot"                           // client id of the sample machine
	MachineSecret = "robot-secret-for-this-machine"   // published on purpose; see the package comment
	RolesClaim    = "https://gatehouse.example/roles" // where tokens carry roles: Auth0 wants custom claims namespaced
	Lifetime      = 24 * time.Hour                    // Auth0's default for an API's access tokens
	SPAID         = "spa"                             // client id of the sample single-page application; it has no secret
	machineSuffix = "@clients"                        // what Auth0 appends to a client id for the client's own subject
)

// Person is one of the sample API's callers.
type Person struct {
	Name         string   // "customer": what commands call the person
	Subject      string   // "auth0|cust"
	ClientID     string   // the application that asks on the person's behalf; a machine is its own
	Roles        []string // nil for none
	Scopes       []string
	Organization string // "" for none
}

// People are the sample API's callers, in the order of the documentation. The caller owns the result.
func People() []Person {
	user := func(name, subject, role, organization string) Person {
		return Person{name, subject, SPAID, []string{role}, []string{"openid"}, organization}
	}
	return []Person{
		user("customer", "auth0|cust", "customer", "org_home"),
		user("support", "auth0|supp", "support", "org_home"),
		user("admin", "auth0|adm", "admin", "org_home"),
		user("suspended", "auth0|susp", "customer", "org_home"),
		user("outsider", "auth0|out", "customer", "org_other"),
		machine(),
	}
}

func machine() Person {
	return Person{Name: "machine", Subject: MachineID + machineSuffix, ClientID: MachineID, Scopes: []string{"read:orders"}}
}

// PersonNamed finds one of People. The error for an unknown name lists them.
func PersonNamed(name string) (Person, error) {
	people := People()
	i := slices.IndexFunc(people, func(p Person) bool { return p.Name == name })
	if i < 0 {
		names := make([]string, len(people))
		for i, p := range people {
			names[i] = p.Name
		}
		return Person{}, fmt.Errorf("person %q: want one of %s", name, strings.Join(names, ", "))
	}
	return people[i], nil
}

// profile is what the person's ID tokens and the userinfo endpoint say beside sub, by the scopes that allow it (OpenID
// Connect Core section 5.4).
func (p Person) profile(scopes []string) map[string]any {
	claims := map[string]any{}
	if slices.Contains(scopes, oidc.ScopeProfile) {
		claims["name"] = p.Title()
		claims["nickname"] = p.Name
	}
	if slices.Contains(scopes, oidc.ScopeEmail) {
		claims["email"] = p.Name + "@example.com"
		claims["email_verified"] = true
	}
	if p.Organization != "" {
		claims["org_id"] = p.Organization
	}
	return claims
}

// Title is the person's name as people write it: "Customer".
func (p Person) Title() string { return strings.ToUpper(p.Name[:1]) + p.Name[1:] }

// Claims are what a token issued now says of the person.
func (p Person) Claims(audience string, now time.Time) Claims {
	return Claims{
		Subject:      p.Subject,
		ClientID:     p.ClientID,
		Audience:     audience,
		Scopes:       p.Scopes,
		Roles:        p.Roles,
		Organization: p.Organization,
		IssuedAt:     now,
		ExpiresAt:    now.Add(Lifetime),
	}
}
