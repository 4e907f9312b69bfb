package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
)

// template is a CloudFormation template, as JSON has it.
type template map[string]any

func packagedTemplate(t *testing.T, arch string) template {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(packagedDir(t), "dist/package", arch, "cloudformation-template-update-stack.json"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed template
	if err := json.Unmarshal(content, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// at gives what stands at a path of names; nil where there is nothing.
func at(v any, path ...string) any {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// of gives the resources of a type, by logical id.
func (t template) of(kind string) map[string]any {
	found := map[string]any{}
	for id, r := range t["Resources"].(map[string]any) {
		if at(r, "Type") == kind {
			found[id] = r
		}
	}
	return found
}

// text writes a value that a deployment resolves as Fn::Sub would have it. A text that only looks like it is told apart.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return strings.ReplaceAll(v, "${", "${!")
	case []any:
		var parts []string
		for _, part := range v {
			parts = append(parts, text(part))
		}
		return strings.Join(parts, " ")
	case map[string]any:
		if len(v) != 1 {
			break
		}
		if ref, ok := v["Ref"].(string); ok {
			return "${" + ref + "}"
		}
		if sub, ok := v["Fn::Sub"].(string); ok {
			return sub
		}
		if path, ok := v["Fn::GetAtt"].([]any); ok && len(path) == 2 {
			return fmt.Sprintf("${%s.%s}", path[0], path[1])
		}
		if join, ok := v["Fn::Join"].([]any); ok && len(join) == 2 {
			var parts []string
			for _, part := range join[1].([]any) {
				parts = append(parts, text(part))
			}
			return strings.Join(parts, join[0].(string))
		}
	}
	return fmt.Sprint(v)
}

// attribute gives X where a value is ${X.Arn}.
func attribute(v any) string {
	id, _ := strings.CutPrefix(text(v), "${")
	id, found := strings.CutSuffix(id, ".Arn}")
	if !found {
		return ""
	}
	return id
}

// faults collects what is wrong with a template.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

const (
	restAPIs  = "AWS::ApiGateway::RestApi"
	httpAPIs  = "AWS::ApiGatewayV2::Api"
	functions = "AWS::Lambda::Function"
)

// authorizers gives, for each authorizer, its API and the function that it asks.
func (t template) authorizers() map[string]struct{ api, function string } {
	found := map[string]struct{ api, function string }{}
	for kind, api := range map[string]string{"AWS::ApiGateway::Authorizer": "RestApiId", "AWS::ApiGatewayV2::Authorizer": "ApiId"} {
		for id, r := range t.of(kind) {
			_, function, _ := strings.Cut(text(at(r, "Properties", "AuthorizerUri")), "/functions/${")
			function, _, _ = strings.Cut(function, ".Arn}")
			found[id] = struct{ api, function string }{text(at(r, "Properties", api)), function}
		}
	}
	return found
}

// permissionFaults: a function is invoked by API Gateway alone, a handler by its APIs, the authorizer by its authorizers.
func permissionFaults(t template) (found faults) {
	const account = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:"
	may := map[string][]string{} // source ARNs by function
	asks := map[string]bool{}
	for id, a := range t.authorizers() {
		asks[a.function] = true
		may[a.function] = append(may[a.function], account+a.api+"/authorizers/${"+id+"}")
	}
	for id := range t.of(functions) {
		if asks[id] {
			continue
		}
		for api := range t.of(restAPIs) {
			may[id] = append(may[id], account+"${"+api+"}/*/*")
		}
		for api := range t.of(httpAPIs) {
			may[id] = append(may[id], account+"${"+api+"}/*")
		}
	}
	given := map[string][]string{}
	for id, r := range t.of("AWS::Lambda::Permission") {
		p := at(r, "Properties").(map[string]any)
		function, source := attribute(p["FunctionName"]), text(p["SourceArn"])
		given[function] = append(given[function], source)
		switch {
		case p["Principal"] != "apigateway.amazonaws.com" || p["Action"] != "lambda:InvokeFunction":
			found.add("%s: lets %v do %v", id, p["Principal"], p["Action"])
		case source == "":
			found.add("%s: no SourceArn: every API of every account may invoke %s", id, function)
		case !slices.Contains(may[function], source):
			found.add("%s: SourceArn %s: want one of %q", id, source, may[function])
		}
	}
	for function := range asks {
		for _, source := range may[function] {
			if !slices.Contains(given[function], source) {
				found.add("%s: no permission for %s", function, source)
			}
		}
	}
	return found
}

// settingFaults: what runs is what was built, and the authorizer listens to the APIs of its own template alone.
func settingFaults(t template, arch string) (found faults) {
	for id, r := range t.of(functions) {
		for name, want := range map[string]string{"Runtime": "provided.al2023", "Handler": "bootstrap", "Architectures": arch} {
			if got := text(at(r, "Properties", name)); got != want {
				found.add("%s: %s is %q, want %q", id, name, got, want)
			}
		}
	}
	var apis []string
	for _, api := range slices.Sorted(maps.Keys(t.of(restAPIs))) {
		apis = append(apis, "${AWS::AccountId}/${"+api+"}")
	}
	for _, api := range slices.Sorted(maps.Keys(t.of(httpAPIs))) {
		apis = append(apis, "${AWS::AccountId}/${"+api+"}")
	}
	for id, a := range t.authorizers() {
		function := at(map[string]any(t), "Resources", a.function)
		if got, want := text(at(function, "Properties", "Environment", "Variables", "GATEHOUSE_APIS")), strings.Join(apis, ","); got != want {
			found.add("%s: GATEHOUSE_APIS of %s is %q, want %q", id, a.function, got, want)
		}
	}
	return found
}

// readsStore is what the authorizer may do beside writing its log: read, by name, what is under its stage's root.
const readsStore = "[ssm:GetParameter ssm:GetParameters] arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/gatehouse/dev/*"

// roleFaults: each function has a role to itself, which Lambda alone takes on, and which may write that function's log; the
// authorizer's may read its store.
func roleFaults(t template) (found faults) {
	roles := t.of("AWS::IAM::Role")
	holder := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(t.of(functions))) {
		role := attribute(at(t.of(functions)[id], "Properties", "Role"))
		if roles[role] == nil {
			found.add("%s: its role is not of this template", id)
			continue
		}
		if other := holder[role]; other != "" {
			found.add("%s: shares %s with %s", id, role, other)
			continue
		}
		holder[role] = id
	}
	for id, r := range t["Resources"].(map[string]any) {
		if kind := text(at(r, "Type")); strings.HasPrefix(kind, "AWS::IAM::") && kind != "AWS::IAM::Role" {
			found.add("%s: %s gives what no role says", id, kind)
		}
	}
	for id, r := range roles {
		function := t.of(functions)[holder[id]]
		if function == nil {
			found.add("%s: of no function", id)
			continue
		}
		for name := range at(r, "Properties").(map[string]any) {
			if name != "AssumeRolePolicyDocument" && name != "Policies" {
				found.add("%s: has %s", id, name)
			}
		}
		for _, s := range policyStatements(at(r, "Properties", "AssumeRolePolicyDocument")) {
			if len(s) != 3 || s["Effect"] != "Allow" || text(s["Action"]) != "sts:AssumeRole" || fmt.Sprint(s["Principal"]) != "map[Service:lambda.amazonaws.com]" {
				found.add("%s: trusts %v", id, s)
			}
		}
		policies, _ := at(r, "Properties", "Policies").([]any)
		for _, policy := range policies {
			for _, s := range policyStatements(at(policy, "PolicyDocument")) {
				if len(s) != 3 || s["Effect"] != "Allow" {
					found.add("%s: want a statement of Effect Allow, Action and Resource, not %v", id, s)
				}
				if holder[id] == "AuthorizerLambdaFunction" && fmt.Sprint(s["Action"])+" "+text(s["Resource"]) == readsStore {
					continue
				}
				for _, action := range list(s["Action"]) {
					if name := text(action); name != "logs:CreateLogStream" && name != "logs:PutLogEvents" {
						found.add("%s: may do %s", id, name)
					}
				}
				for _, resource := range list(s["Resource"]) {
					log := t.of("AWS::Logs::LogGroup")[attribute(resource)]
					if name := text(at(log, "Properties", "LogGroupName")); name != "/aws/lambda/"+text(at(function, "Properties", "FunctionName")) {
						found.add("%s: may reach %s, which is not the log of %s", id, text(resource), holder[id])
					}
				}
			}
		}
	}
	return found
}

func policyStatements(document any) (all []map[string]any) {
	for _, s := range list(at(document, "Statement")) {
		all = append(all, s.(map[string]any))
	}
	return all
}

// list gives a value that may stand for a list of it alone; one that is not there is one that says nothing.
func list(v any) []any {
	if all, ok := v.([]any); ok {
		return all
	}
	return []any{v}
}

// responseFaults: what the REST API answers by itself can be read by the application in a browser, a 401 says how to
// authenticate, and the deployment has it.
func responseFaults(t template) (found faults) {
	before := map[string]bool{} // what is there before the deployment
	for _, d := range t.of("AWS::ApiGateway::Deployment") {
		for _, method := range list(at(d, "DependsOn")) {
			for _, id := range list(at(map[string]any(t), "Resources", text(method), "DependsOn")) {
				before[text(id)] = true
			}
		}
	}
	var origin string
	for id, api := range t.of(httpAPIs) {
		origin = text(at(api, "Properties", "CorsConfiguration", "AllowOrigins"))
		if !strings.HasPrefix(origin, "http") || strings.ContainsAny(origin, "* ") {
			found.add("%s: origins %q: want one", id, origin)
		}
	}
	kinds := map[string]bool{}
	for id, r := range t.of("AWS::ApiGateway::GatewayResponse") {
		kind := text(at(r, "Properties", "ResponseType"))
		kinds[kind] = true
		header := func(name string) string {
			return text(at(r, "Properties", "ResponseParameters", "gatewayresponse.header."+name))
		}
		if got := header("Access-Control-Allow-Origin"); got != "'"+origin+"'" {
			found.add("%s: Access-Control-Allow-Origin of %s is %q, want that of the HTTP API, %q", id, kind, got, origin)
		}
		if challenge := header("WWW-Authenticate"); kind == "UNAUTHORIZED" && challenge != "'Bearer'" {
			found.add("%s: WWW-Authenticate of %s is %q", id, kind, challenge)
		}
		if !before[id] {
			found.add("%s: no method waits for it: the deployment may lack it", id)
		}
	}
	for _, kind := range []string{"ACCESS_DENIED", "UNAUTHORIZED", "DEFAULT_4XX", "DEFAULT_5XX"} {
		if !kinds[kind] {
			found.add("no gateway response of type %s", kind)
		}
	}
	asked := map[string]bool{} // resources of the REST API with a method that an application asks
	preflights := map[string]any{}
	for _, m := range t.of("AWS::ApiGateway::Method") {
		resource := text(at(m, "Properties", "ResourceId"))
		if at(m, "Properties", "HttpMethod") != "OPTIONS" {
			asked[resource] = true
			continue
		}
		preflights[resource] = m
	}
	for resource := range asked {
		m := preflights[resource]
		var got string
		for _, response := range list(at(m, "Properties", "Integration", "IntegrationResponses")) {
			got = text(at(response, "ResponseParameters", "method.response.header.Access-Control-Allow-Origin"))
		}
		if got != "'"+origin+"'" || at(m, "Properties", "AuthorizationType") != "NONE" {
			found.add("%s: its preflight lets in %q with authorization %q: want that of the HTTP API, %q, and NONE", resource, got, text(at(m, "Properties", "AuthorizationType")), origin)
		}
	}
	return found
}

// expressionFaults: an identity is looked at from its first character to its last.
func expressionFaults(t template) (found faults) {
	for id, r := range t.of("AWS::ApiGateway::Authorizer") {
		expression := at(r, "Properties", "IdentityValidationExpression")
		if expression == nil {
			continue
		}
		if !anchored(text(expression)) {
			found.add("%s: IdentityValidationExpression %s: want ^…$ around all of it", id, text(expression))
		}
	}
	return found
}

func anchored(expression string) bool {
	parsed, err := syntax.Parse(expression, syntax.Perl)
	return err == nil && parsed.Op == syntax.OpConcat &&
		parsed.Sub[0].Op == syntax.OpBeginText && parsed.Sub[len(parsed.Sub)-1].Op == syntax.OpEndText
}

func templateFaults(t template, arch string) faults {
	return slices.Concat(permissionFaults(t), settingFaults(t, arch), roleFaults(t), responseFaults(t), expressionFaults(t))
}

func TestPackageGuards(t *testing.T) {
	for arch := range architectures {
		for _, fault := range templateFaults(packagedTemplate(t, arch), arch) {
			t.Errorf("%s: %s", arch, fault)
		}
	}
}

// Each guard speaks when what it guards is taken away.
func TestPackageGuardsSpeak(t *testing.T) {
	const (
		rest  = "AuthorizerLambdaPermissionApiGateway"
		http  = "GatehouseLambdaAuthorizerPermissionHttpApi"
		other = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:"
	)
	sub := func(text string) any { return map[string]any{"Fn::Sub": text} }
	arn := func(id string) any { return map[string]any{"Fn::GetAtt": []any{id, "Arn"}} }
	properties := func(id string, path ...string) func(template) map[string]any {
		return func(t template) map[string]any {
			return at(map[string]any(t), append([]string{"Resources", id, "Properties"}, path...)...).(map[string]any)
		}
	}
	statement := func(id, document string) func(template) map[string]any {
		return func(t template) map[string]any {
			p := properties(id)(t)
			if document == "Policies" {
				return policyStatements(at(p["Policies"].([]any)[0], "PolicyDocument"))[0]
			}
			return policyStatements(p[document])[0]
		}
	}
	set := func(where func(template) map[string]any, name string, value any) func(template) {
		return func(t template) {
			if value == nil {
				delete(where(t), name)
				return
			}
			where(t)[name] = value
		}
	}
	add := func(id, kind string, p map[string]any) func(template) {
		return func(t template) {
			t["Resources"].(map[string]any)[id] = map[string]any{"Type": kind, "Properties": p}
		}
	}
	remove := func(id string) func(template) {
		return func(t template) { delete(t["Resources"].(map[string]any), id) }
	}

	for name, test := range map[string]struct {
		change func(template)
		want   string
	}{
		"no SourceArn for the REST authorizer":  {set(properties(rest), "SourceArn", nil), rest + ": no SourceArn"},
		"no SourceArn for the HTTP authorizer":  {set(properties(http), "SourceArn", nil), http + ": no SourceArn"},
		"no SourceArn for a handler":            {set(properties("OrdersLambdaPermissionHttpApi"), "SourceArn", nil), "OrdersLambdaPermissionHttpApi: no SourceArn"},
		"any authorizer":                        {set(properties(rest), "SourceArn", sub(other+"${ApiGatewayRestApi}/authorizers/*")), rest + ": SourceArn"},
		"any route may ask the authorizer":      {set(properties(http), "SourceArn", sub(other+"${HttpApi}/*")), http + ": SourceArn"},
		"any API may ask a handler":             {set(properties("AdminLambdaPermissionApiGateway"), "SourceArn", sub(other+"*/*/*")), "AdminLambdaPermissionApiGateway: SourceArn"},
		"a SourceArn that is not substituted":   {set(properties("AdminLambdaPermissionApiGateway"), "SourceArn", other+"${ApiGatewayRestApi}/*/*"), "AdminLambdaPermissionApiGateway: SourceArn"},
		"another service invokes":               {set(properties(rest), "Principal", "*"), rest + ": lets *"},
		"no permission for an authorizer":       {remove(http), "AuthorizerLambdaFunction: no permission for"},
		"another runtime":                       {set(properties("OrdersLambdaFunction"), "Runtime", "go1.x"), `OrdersLambdaFunction: Runtime is "go1.x"`},
		"another architecture":                  {set(properties("OrdersLambdaFunction"), "Architectures", []any{"x86_64"}), `OrdersLambdaFunction: Architectures is "x86_64"`},
		"any API may ask the authorizer":        {set(properties("AuthorizerLambdaFunction", "Environment", "Variables"), "GATEHOUSE_APIS", nil), "GATEHOUSE_APIS of AuthorizerLambdaFunction"},
		"a role that several have":              {set(properties("OrdersLambdaFunction"), "Role", arn("AuthorizerRole")), "shares AuthorizerRole"},
		"a role from elsewhere":                 {set(properties("OrdersLambdaFunction"), "Role", "arn:aws:iam::123456789012:role/admin"), "OrdersLambdaFunction: its role is not of this template"},
		"a role of no function":                 {add("Spare", "AWS::IAM::Role", map[string]any{}), "Spare: of no function"},
		"another trusted service":               {set(statement("OrdersRole", "AssumeRolePolicyDocument"), "Principal", map[string]any{"Service": []any{"lambda.amazonaws.com", "ec2.amazonaws.com"}}), "OrdersRole: trusts"},
		"everybody trusted":                     {set(statement("OrdersRole", "AssumeRolePolicyDocument"), "Principal", "*"), "OrdersRole: trusts"},
		"every action":                          {set(statement("OrdersRole", "Policies"), "Action", "*"), "OrdersRole: may do *"},
		"every action on logs":                  {set(statement("OrdersRole", "Policies"), "Action", []any{"logs:*"}), "OrdersRole: may do logs:*"},
		"every action but":                      {set(statement("OrdersRole", "Policies"), "NotAction", "iam:*"), "OrdersRole: want a statement of Effect Allow, Action and Resource"},
		"every resource":                        {set(statement("OrdersRole", "Policies"), "Resource", "*"), "OrdersRole: may reach *"},
		"another function's log":                {set(statement("OrdersRole", "Policies"), "Resource", arn("AuthorizerLogGroup")), "OrdersRole: may reach ${AuthorizerLogGroup.Arn}"},
		"every resource but":                    {set(statement("OrdersRole", "Policies"), "Resource", nil), "OrdersRole: "},
		"a handler reads the store":             {set(statement("OrdersRole", "Policies"), "Action", []any{"ssm:GetParameter", "ssm:GetParameters"}), "OrdersRole: may do ssm:GetParameter"},
		"the authorizer writes the store":       {set(statement("AuthorizerRole", "Policies"), "Action", []any{"ssm:GetParameter", "ssm:PutParameter"}), "AuthorizerRole: may do ssm:PutParameter"},
		"a managed policy":                      {set(properties("OrdersRole"), "ManagedPolicyArns", []any{"arn:aws:iam::aws:policy/AdministratorAccess"}), "OrdersRole: has ManagedPolicyArns"},
		"a policy beside the role":              {add("Beside", "AWS::IAM::Policy", map[string]any{}), "Beside: AWS::IAM::Policy"},
		"no challenge":                          {set(properties("Unauthorized", "ResponseParameters"), "gatewayresponse.header.WWW-Authenticate", nil), "Unauthorized: WWW-Authenticate"},
		"an answer that a browser cannot read":  {set(properties("Default5xx", "ResponseParameters"), "gatewayresponse.header.Access-Control-Allow-Origin", nil), "Default5xx: Access-Control-Allow-Origin"},
		"an answer that every page may read":    {set(properties("AccessDenied", "ResponseParameters"), "gatewayresponse.header.Access-Control-Allow-Origin", "'*'"), "AccessDenied: Access-Control-Allow-Origin"},
		"every page may ask the HTTP API":       {set(properties("HttpApi", "CorsConfiguration"), "AllowOrigins", []any{"*"}), `HttpApi: origins "*"`},
		"no answer of a type":                   {remove("Default4xx"), "no gateway response of type DEFAULT_4XX"},
		"an answer after the deployment":        {add("Late", "AWS::ApiGateway::GatewayResponse", map[string]any{}), "Late: no method waits for it"},
		"no preflight":                          {remove("ApiGatewayMethodOrdersOptions"), "${ApiGatewayResourceOrders}: its preflight"},
		"a preflight that needs a token":        {set(properties("ApiGatewayMethodOrdersOptions"), "AuthorizationType", "CUSTOM"), "${ApiGatewayResourceOrders}: its preflight"},
		"an expression open at its beginning":   {set(properties("AuthorizerApiGatewayAuthorizer"), "IdentityValidationExpression", `Bearer [\w.-]+$`), "AuthorizerApiGatewayAuthorizer: IdentityValidationExpression"},
		"an expression open at its end":         {set(properties("AuthorizerApiGatewayAuthorizer"), "IdentityValidationExpression", `^Bearer [\w.-]+`), "AuthorizerApiGatewayAuthorizer: IdentityValidationExpression"},
		"an expression with two open halves":    {set(properties("AuthorizerApiGatewayAuthorizer"), "IdentityValidationExpression", `^Bearer|[\w.-]+$`), "AuthorizerApiGatewayAuthorizer: IdentityValidationExpression"},
		"an expression that ends with a dollar": {set(properties("AuthorizerApiGatewayAuthorizer"), "IdentityValidationExpression", `^Bearer \$`), "AuthorizerApiGatewayAuthorizer: IdentityValidationExpression"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := packagedTemplate(t, "arm64")
			test.change(changed)
			found := templateFaults(changed, "arm64")
			if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, test.want) }) {
				t.Errorf("want a fault that says %q, got %q", test.want, found)
			}
		})
	}
	if !anchored(`^Bearer [\w.-]+$`) {
		t.Error("an anchored expression is refused")
	}
}
