// Package serverless reads a serverless.yml (Serverless Framework v3 syntax) as far as an API Gateway needs it: which
// function answers which route, and which authorizer stands before it. It is strict: what it would have to guess about
// a route or an authorizer is an error with its line, because a guess here is an open door there.
package serverless

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"gatehouse/authorizer"
)

// Service is what the file deploys. Functions stand in the file's order.
type Service struct {
	Name      string
	Stage     string // provider.stage, or "dev"; the stage of the REST API
	Region    string // provider.region, or "us-east-1"
	Functions []Function

	Preflight        map[string]CORS            // of the REST API, by path template; only paths with cors
	HTTPCORS         *CORS                      // of the HTTP API; nil: none
	BinaryMediaTypes []string                   // of the REST API: "image/png", "image/*", "*/*"
	RouteSelection   string                     // of the WebSocket API: "$request.body.action"
	GatewayResponses map[string]GatewayResponse // of the REST API, by type: "ACCESS_DENIED"
	Mappings         []Mapping                  // custom domains
}

// Function is one Lambda function.
type Function struct {
	Name        string
	Handler     string
	Runtime     string            // "provided.al2023"
	Artifact    string            // path of the zip as the file spells it, or empty
	Environment map[string]string // the provider's and the function's own over it
	Timeout     time.Duration     // whole seconds, 1 s to 15 min; 6 s where the file says nothing
	Memory      int               // MB, 128 to 10240; 1024 where the file says nothing
	Reserved    *int              // reserved concurrency; nil: none
	Events      []Event
}

// Event is one route of one API that the function answers.
type Event struct {
	Protocol   authorizer.Protocol
	Method     string // upper case, or "ANY"; empty for "$default" and the routes of a WebSocket API
	Path       string // the template with its leading slash, "$default", or a WebSocket route such as "$connect"
	Authorizer *Authorizer
	Answers    bool // a WebSocket route sends its handler's body back (routeResponseSelectionExpression)
	Line       int  // where the file says so
}

// Route is the route key: "GET /orders/{id}", "ANY /files/{proxy+}", "$default" or "$connect".
func (e Event) Route() string {
	if e.Method == "" {
		return e.Path
	}
	return e.Method + " " + e.Path
}

// Type is the kind of event that an authorizer gets.
type Type string

// The two types of a Lambda authorizer (API Gateway Developer Guide, "Use API Gateway Lambda authorizers").
const (
	Token   Type = "token"
	Request Type = "request"
)

// Authorizer is one Lambda authorizer, with every default filled in.
type Authorizer struct {
	Name                 string // unique within an API
	Function             string // a function of this file
	Type                 Type
	PayloadVersion       string           // "1.0" or "2.0" on an HTTP API, else empty
	SimpleResponses      bool             // HTTP API, payload 2.0
	TTL                  time.Duration    // how long answers are cached, 0 to 1 h
	IdentitySources      []IdentitySource // in the file's order; none: the function is asked about every request
	ValidationExpression string           // type token only
}

// IdentitySource says where a request carries its identity.
type IdentitySource struct {
	Expression string // as in the file: "method.request.header.Authorization"
	From       string // "header", "querystring", "context" or "stageVariables"
	Name       string
}

// Read reads a serverless.yml. Variables are resolved where the reader needs their values, and only there; env gives
// the environment's for ${env:NAME} (a caller with no use for values answers every name). An error names every fault
// with its line, and never the value of a function's environment.
func Read(doc []byte, env func(string) (string, bool)) (*Service, error) {
	dec := yaml.NewDecoder(bytes.NewReader(doc))
	var root yaml.Node
	if err := dec.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("read serverless.yml: empty")
		}
		return nil, fmt.Errorf("read serverless.yml: %w", err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("read serverless.yml: more than one document")
	}
	r := &reader{root: root.Content[0], env: env, settings: map[string]*Authorizer{}, routes: map[string]int{}, preflight: map[string]CORS{}, names: map[string]string{}}
	r.unmerged(r.root)
	s := r.service()
	if err := r.failure(); err != nil {
		return nil, fmt.Errorf("read serverless.yml: %w", err)
	}
	return s, nil
}

// The keys of each part: those that are read here, those that say nothing about routes and authorizers, and those that
// would change what a route means (refused). Names follow the framework's configuration reference, v3.
var (
	topKeys = keys{
		read:   "service provider package custom functions resources",
		ignore: "app configValidationMode console deprecationNotificationMode disabledDeprecations frameworkVersion layers org outputs params plugins useDotenv variablesResolutionMode",
	}
	providerKeys = keys{
		read: "name stage region runtime timeout memorySize environment httpApi apiGateway websocketsApiRouteSelectionExpression endpointType",
		ignore: "alb apiKeys apiName architecture deploymentBucket deploymentMethod deploymentPrefix disableRollback ecr iam iamManagedPolicies iamRoleStatements " +
			"kmsKeyArn lambdaHashingVersion layers logDataProtectionPolicy logRetentionInDays logs notificationArns profile role rolePermissionsBoundary rollbackConfiguration stackName " +
			"stackParameters stackPolicy stackTags tags tracing versionFunctions vpc vpcEndpointIds websocket websocketsApiName websocketsDescription",
	}
	apiGatewayKeys = keys{
		read:   "binaryMediaTypes",
		ignore: "description metrics minimumCompressionSize shouldStartNameWithService websocketApiId",
		later:  "apiKeySourceType apiKeys disableDefaultEndpoint request resourcePolicy restApiId restApiResources restApiRootResourceId usagePlan",
	}
	httpAPIKeys = keys{
		read:   "authorizers cors payload",
		ignore: "metrics name shouldStartNameWithService timeout useProviderTags",
		later:  "disableDefaultEndpoint id",
	}
	packageKeys  = keys{read: "artifact", ignore: "exclude excludeDevDependencies include individually path patterns"}
	functionKeys = keys{
		read: "handler runtime package environment timeout memorySize reservedConcurrency events",
		ignore: "architecture awsKmsKeyArn condition dependsOn description destinations disableLogs ephemeralStorageSize fileSystemConfig iamRoleStatements iamRoleStatementsInherit " +
			"iamRoleStatementsName kmsKeyArn layers logDataProtectionPolicy logRetentionInDays maximumEventAge maximumRetryAttempts name onError provisionedConcurrency " +
			"role snapStart tags tracing versionFunction vpc",
		later: "httpApi image url", // a function URL is a way in past every authorizer
	}
	eventKeys = keys{
		read:   "http httpApi websocket",
		ignore: "activemq alb alexaSkill alexaSmartHome cloudFront cloudwatchEvent cloudwatchLog cognitoUserPool eventBridge iot iotFleetProvisioning kafka msk rabbitmq s3 schedule sns sqs stream",
	}
	restEventKeys = keys{
		read:   "path method authorizer cors integration",
		ignore: "documentation operationId",
		later:  "async connectionId connectionType private request response",
	}
	httpEventKeys      = keys{read: "path method authorizer"}
	websocketEventKeys = keys{read: "route authorizer routeResponseSelectionExpression"}

	restAuthorizerKeys = keys{
		read:   "name type resultTtlInSeconds identitySource identityValidationExpression",
		ignore: "managedExternally",
		later:  "arn authorizerId claims scopes",
	}
	httpAuthorizerKeys = keys{
		read:   "type functionName payloadVersion enableSimpleResponses resultTtlInSeconds identitySource",
		ignore: "managedExternally name", // a label: the key is what routes refer to
		later:  "audience functionArn issuerUrl",
	}
	httpAuthorizerUseKeys   = keys{read: "name type", later: "id scopes"}
	websocketAuthorizerKeys = keys{read: "name identitySource", later: "arn"}
)

func (r *reader) service() *Service {
	top := r.fields(r.root, "the file", topKeys)
	provider := r.fields(top["provider"], "provider", providerKeys)
	s := &Service{}
	s.Name = r.required(top["service"], "service", r.root)
	if name := r.required(provider["name"], "provider.name", r.root); name != "" && name != "aws" {
		r.fault(provider["name"], "provider.name %q: only aws is supported", name)
	}
	s.Stage = r.stage()
	if strings.Trim(s.Stage, letters+digits+"_-") != "" {
		r.fault(provider["stage"], "provider.stage %q: want letters, digits, _ and -", s.Stage)
	}
	s.Region = r.region()
	if v := r.text(provider["endpointType"], "provider.endpointType"); strings.EqualFold(v, "private") {
		r.fault(provider["endpointType"], "provider.endpointType %q is not supported yet: it would be served to everybody here", v)
	}
	rest := r.fields(provider["apiGateway"], "provider.apiGateway", apiGatewayKeys)
	s.BinaryMediaTypes = r.texts(rest["binaryMediaTypes"], "provider.apiGateway.binaryMediaTypes")
	s.RouteSelection = r.routeSelection(provider["websocketsApiRouteSelectionExpression"])
	http := r.fields(provider["httpApi"], "provider.httpApi", httpAPIKeys)
	if v := r.text(http["payload"], "provider.httpApi.payload"); v != "" && v != "2.0" {
		r.fault(http["payload"], "provider.httpApi.payload %q is not supported yet: want 2.0", v)
	}
	r.functions = r.mapping(top["functions"], "functions")
	r.shared = r.httpAuthorizers(http["authorizers"])
	artifact := r.text(r.fields(top["package"], "package", packageKeys)["artifact"], "package.artifact")
	for _, f := range r.functions {
		s.Functions = append(s.Functions, r.function(f, provider, artifact))
	}
	s.Preflight = r.preflight
	s.HTTPCORS = r.httpCORS(http["cors"], s.Functions)
	s.GatewayResponses, s.Mappings = r.resources(top["resources"])
	return s
}

// routeSelection reads how a WebSocket API tells the route of a message. Only a member of the message's JSON is known
// here, which is all that the framework's guide shows.
func (r *reader) routeSelection(n *yaml.Node) string {
	const prefix = "$request.body."
	x := r.text(n, "provider.websocketsApiRouteSelectionExpression")
	if x == "" {
		return prefix + "action"
	}
	if !strings.HasPrefix(x, prefix) || strings.Trim(x[len(prefix):], letters+digits+"_.") != "" || x == prefix {
		r.fault(n, "provider.websocketsApiRouteSelectionExpression %q is not supported yet: want %sNAME", x, prefix)
	}
	return x
}

func (r *reader) function(f entry, provider map[string]*yaml.Node, artifact string) Function {
	at := "functions." + f.name
	if f.name == "" || strings.Trim(f.name, letters+digits+"_-") != "" {
		r.fault(f.key, "%s: a function's name is letters, digits, _ and -", at)
	}
	own := r.fields(f.value, at, functionKeys)
	fn := Function{
		Name:        f.name,
		Handler:     r.required(own["handler"], at+".handler", f.key),
		Runtime:     r.text(cmp.Or(own["runtime"], provider["runtime"]), at+".runtime"),
		Artifact:    artifact,
		Environment: map[string]string{},
		Timeout:     time.Duration(r.number(cmp.Or(own["timeout"], provider["timeout"]), at+".timeout", 6, 1, 900)) * time.Second,
		Memory:      r.number(cmp.Or(own["memorySize"], provider["memorySize"]), at+".memorySize", 1024, 128, 10240),
	}
	if n := own["reservedConcurrency"]; n != nil {
		reserved := r.number(n, at+".reservedConcurrency", 0, 0, 100_000)
		fn.Reserved = &reserved
	}
	if a := r.text(r.fields(own["package"], at+".package", packageKeys)["artifact"], at+".package.artifact"); a != "" {
		fn.Artifact = a
	}
	for _, v := range slices.Concat(r.mapping(provider["environment"], "provider.environment"), r.mapping(own["environment"], at+".environment")) {
		if !variableName.MatchString(v.name) {
			r.fault(v.key, "%s.environment: %q is not a variable's name", at, v.name)
		}
		fn.Environment[v.name] = r.deployed(v.value, at+".environment."+v.name)
	}
	for i, e := range r.list(own["events"], at+".events") {
		here := fmt.Sprintf("%s.events[%d]", at, i)
		kinds := r.fields(e, here, eventKeys)
		if len(kinds) > 1 {
			r.fault(e, "%s: more than one kind of event", here)
		}
		for _, kind := range []struct {
			name string
			read func(n *yaml.Node, at string) Event
		}{{"http", r.restEvent}, {"httpApi", r.httpEvent}, {"websocket", r.websocketEvent}} {
			n := kinds[kind.name]
			if n == nil {
				continue
			}
			ev := kind.read(n, here+"."+kind.name)
			ev.Line = n.Line
			key := string(ev.Protocol) + " " + ev.Route()
			if first, twice := r.routes[key]; twice && ev.Path != "" {
				r.fault(n, "%s: route %q stands in line %d already", here, ev.Route(), first)
			}
			r.routes[key] = n.Line
			r.alone(n, here, ev)
			fn.Events = append(fn.Events, ev)
		}
	}
	return fn
}

// alone refuses a route whose name in CloudFormation is another's already: the framework makes one of the two. A REST API
// names the paths, an HTTP API the routes.
func (r *reader) alone(n *yaml.Node, at string, e Event) {
	names, what := e.Path, e.Path
	if e.Protocol == authorizer.HTTP {
		names, what = e.Method+"/"+e.Path, e.Route()
	}
	key := string(e.Protocol) + " "
	for part := range strings.SplitSeq(names, "/") {
		if part = notInName.ReplaceAllString(strings.ReplaceAll(parameterName.ReplaceAllString(strings.ToLower(part), "${1}Var"), "-", "Dash"), ""); part != "" {
			key += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	if first, named := r.names[key]; named && first != what {
		r.fault(n, "%s: %s and %s have one name in CloudFormation, and are deployed as one", at, first, what)
	}
	r.names[key] = what
}

var (
	parameterName = regexp.MustCompile(`\{(.*)\}`)
	notInName     = regexp.MustCompile(`[^0-9A-Za-z]`)
)

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// variableName is what the framework's schema takes as the name of an environment variable.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

var methods = []string{"ANY", "GET", "POST", "PUT", "PATCH", "OPTIONS", "HEAD", "DELETE"}

func (r *reader) method(n *yaml.Node, at, method string) string {
	m := strings.ToUpper(method)
	if m != "" && !slices.Contains(methods, m) {
		r.fault(n, "%s: method %q: want one of %s", at, method, strings.ToLower(strings.Join(methods, ", ")))
	}
	return m
}

func (r *reader) template(n *yaml.Node, e Event) {
	if e.Method == "" || e.Path == "" || !slices.Contains(methods, e.Method) {
		return // named already
	}
	if _, err := authorizer.NewRoutes([]string{e.Route()}); err != nil {
		r.fault(n, "%w", err)
	}
}

// restEvent reads `http`: an object, or "METHOD path". The path may lack its leading slash and have a trailing one.
func (r *reader) restEvent(n *yaml.Node, at string) Event {
	e := Event{Protocol: authorizer.REST}
	n = r.resolve(n)
	var path string
	var cors *yaml.Node
	if isText(n) {
		method, rest, _ := strings.Cut(n.Value, " ")
		e.Method, path = r.method(n, at, method), rest
		if method == "" || rest == "" {
			r.fault(n, "%s: want \"METHOD path\" or an object with both", at)
			return e
		}
	} else {
		o := r.fields(n, at, restEventKeys)
		e.Method = r.method(n, at, r.required(o["method"], at+".method", n))
		path = r.required(o["path"], at+".path", n)
		cors = o["cors"]
		if v := r.text(o["integration"], at+".integration"); v != "" && !strings.EqualFold(strings.ReplaceAll(v, "_", "-"), "lambda-proxy") && !strings.EqualFold(v, "AWS_PROXY") {
			r.fault(o["integration"], "%s.integration %q is not supported yet: want lambda-proxy", at, v)
		}
		e.Authorizer = r.restAuthorizer(o["authorizer"], at+".authorizer")
		if path == "" {
			return e
		}
	}
	e.Path = "/" + strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	r.template(n, e)
	r.restCORS(cors, at+".cors", e)
	return e
}

// httpEvent reads `httpApi`: an object, "METHOD /path", or "*" for the $default route.
func (r *reader) httpEvent(n *yaml.Node, at string) Event {
	e := Event{Protocol: authorizer.HTTP}
	n = r.resolve(n)
	var method, path string
	if isText(n) {
		path = n.Value
		if path != "*" {
			method, path, _ = strings.Cut(n.Value, " ")
		}
	} else {
		o := r.fields(n, at, httpEventKeys)
		method = r.text(o["method"], at+".method")
		if path = r.required(o["path"], at+".path", n); path == "" {
			return e
		}
		e.Authorizer = r.httpAuthorizerUse(o["authorizer"], at+".authorizer")
	}
	switch {
	case path == "*" && (method == "" || method == "*"):
		e.Path = "$default"
		return e
	case path == "*":
		r.fault(n, "%s: path * takes every method: leave method out", at)
		return e
	case method == "" || !strings.HasPrefix(path, "/"):
		r.fault(n, "%s: want a method and a path that starts with /, or *", at)
		return e
	case method == "*":
		method = "ANY"
	}
	e.Method, e.Path = r.method(n, at, method), path
	r.template(n, e)
	return e
}

// websocketEvent reads `websocket`: an object, or the route alone.
func (r *reader) websocketEvent(n *yaml.Node, at string) Event {
	e := Event{Protocol: authorizer.WebSocket}
	n = r.resolve(n)
	if isText(n) {
		e.Path = n.Value
		return e
	}
	o := r.fields(n, at, websocketEventKeys)
	e.Path = r.required(o["route"], at+".route", n)
	if v := r.text(o["routeResponseSelectionExpression"], at+".routeResponseSelectionExpression"); v != "" {
		e.Answers = true
		if v != "$default" { // the only one that there is (API reference, UpdateRoute)
			r.fault(o["routeResponseSelectionExpression"], "%s.routeResponseSelectionExpression %q: want $default", at, v)
		}
	}
	e.Authorizer = r.websocketAuthorizer(o["authorizer"], at+".authorizer")
	if e.Authorizer != nil && e.Path != authorizer.Connect {
		r.fault(o["authorizer"], "%s.authorizer: only %s can have one", at, authorizer.Connect)
	}
	return e
}
