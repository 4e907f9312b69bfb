package serverless

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"gatehouse/authorizer"
)

// GatewayResponse is what a REST API answers by itself in one case, where the deployment says so (CloudFormation User
// Guide, "AWS::ApiGateway::GatewayResponse").
type GatewayResponse struct {
	Status   int               // 0: the type's own
	Headers  map[string]string // 'static text', method.request.header.NAME, method.request.querystring.NAME or context.NAME
	Template string            // of application/json: text with variables as ContextVariable has them; "": the type's own body
}

// Mapping puts an API under a path of a custom domain (CloudFormation User Guide, "AWS::ApiGateway::BasePathMapping",
// "AWS::ApiGatewayV2::ApiMapping").
type Mapping struct {
	Domain string // "api.example.com"
	Path   string // "v1", "a/b" on an HTTP API, or empty
	API    authorizer.Protocol
}

// ContextVariable matches the variables of a template.
const ContextVariable = `\$context\.[A-Za-z0-9_.]*[A-Za-z0-9_]`

// The framework's names for the APIs of the file.
const (
	restResource   = "ApiGatewayRestApi"
	httpResource   = "HttpApi"
	socketResource = "WebsocketsApi"
)

var (
	responseKeys    = keys{read: "RestApiId ResponseType StatusCode ResponseParameters ResponseTemplates"}
	templateKeys    = keys{read: "application/json"}
	basePathKeys    = keys{read: "DomainName BasePath RestApiId Stage", later: "Id"}
	apiMappingKeys  = keys{read: "DomainName ApiMappingKey ApiId Stage"}
	responseHeader  = regexp.MustCompile(`^('.*'|method\.request\.(header|querystring)\.[A-Za-z0-9_-]+|context\.[A-Za-z0-9_.]+)$`)
	anyVariable     = regexp.MustCompile(ContextVariable)
	domainName      = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+$`)
	mappingSegments = regexp.MustCompile(`^[A-Za-z0-9$_.+!*'()-]+(/[A-Za-z0-9$_.+!*'()-]+)*$`)

	// responseTypes are the kinds of answer that a deployment can change, with the status that each has by itself; 0 for
	// the two that stand for all others of their class (API Gateway Developer Guide, "Gateway response types").
	responseTypes = map[string]int{
		"ACCESS_DENIED": 403, "API_CONFIGURATION_ERROR": 500, "AUTHORIZER_CONFIGURATION_ERROR": 500, "AUTHORIZER_FAILURE": 500,
		"BAD_REQUEST_BODY": 400, "BAD_REQUEST_PARAMETERS": 400, "DEFAULT_4XX": 0, "DEFAULT_5XX": 0, "EXPIRED_TOKEN": 403,
		"INTEGRATION_FAILURE": 504, "INTEGRATION_TIMEOUT": 504, "INVALID_API_KEY": 403, "INVALID_SIGNATURE": 403,
		"MISSING_AUTHENTICATION_TOKEN": 403, "QUOTA_EXCEEDED": 429, "REQUEST_TOO_LARGE": 413, "RESOURCE_NOT_FOUND": 404,
		"THROTTLED": 429, "UNAUTHORIZED": 401, "UNSUPPORTED_MEDIA_TYPE": 415, "WAF_FILTERED": 403,
	}
)

// RequestContext are the variables of $context and context that tell something of the request: they have a value on this
// machine.
var RequestContext = strings.Fields("accountId apiId domainName domainPrefix extendedRequestId httpMethod identity.sourceIp identity.userAgent path protocol " +
	"requestId requestTime requestTimeEpoch resourcePath routeKey stage")

// refusalContext are those that a gateway response has besides; authorizer.NAME is another.
var refusalContext = strings.Fields("error.message error.messageString error.responseType")

func knownContext(name string) bool {
	key, ofAuthorizer := strings.CutPrefix(name, "authorizer.")
	return slices.Contains(RequestContext, name) || slices.Contains(refusalContext, name) || ofAuthorizer && key != "" && !strings.Contains(key, ".")
}

// Types of resource that make or change a route, an authorizer or who may come at all, and the names that the framework
// gives its own of them.
var (
	unserved = regexp.MustCompile(`^AWS::ApiGateway(V2)?::(RestApi|Api|Resource|Method|Route|Integration|Authorizer|Stage|Deployment)$`)
	served   = regexp.MustCompile(`^AWS::ApiGateway(::(GatewayResponse|BasePathMapping|DomainName)|V2::(ApiMapping|DomainName))$`)
	extended = regexp.MustCompile(`^(ApiGateway|HttpApi|Websockets)|(ApiGateway|Websockets)Authorizer$`)
)

// resources reads the gateway responses and the custom domains among the CloudFormation resources, one mapping or a list
// of them. What would let somebody in, or keep somebody out, and is not read here is refused; all else may hold what only a
// deployment can read.
func (r *reader) resources(n *yaml.Node) (map[string]GatewayResponse, []Mapping) {
	n = r.tried(n)
	parts := []*yaml.Node{n}
	if n != nil && n.Kind == yaml.SequenceNode {
		parts = n.Content
	}
	responses := map[string]GatewayResponse{}
	var mappings []Mapping
	domains := map[string]*yaml.Node{} // those that the file declares, by resource
	for _, e := range r.ofType(parts, `^AWS::ApiGateway(V2)?::DomainName$`) {
		properties := r.tried(child(r.tried(e.value), "Properties"))
		domains[e.name] = child(properties, "DomainName")
		if tls := child(properties, "MutualTlsAuthentication"); tls != nil {
			r.fault(tls, "resources.Resources.%s.MutualTlsAuthentication is not supported", e.name)
		}
	}
	for _, e := range r.ofType(parts, unserved.String()) {
		r.fault(e.key, "resources.Resources.%s: %s is not supported: it would be deployed and not served", e.name, r.tried(child(r.tried(e.value), "Type")).Value)
	}
	for _, e := range r.ofType(parts, "") { // what has the name of one of the framework's own changes that one
		kind := r.tried(child(r.tried(e.value), "Type"))
		if extended.MatchString(e.name) && (kind == nil || !served.MatchString(kind.Value)) {
			r.fault(e.key, "resources.Resources.%s is not supported: it would be deployed and not served", e.name)
		}
	}
	for _, part := range parts {
		extensions := r.tried(child(r.tried(part), "extensions"))
		if extensions == nil || extensions.Kind != yaml.MappingNode {
			continue
		}
		for _, e := range r.mapping(extensions, "resources.extensions") {
			if properties := child(r.tried(e.value), "Properties"); properties != nil && extended.MatchString(e.name) {
				r.fault(e.key, "resources.extensions.%s.Properties is not supported: it would be deployed and not served", e.name)
			}
		}
	}
	for _, e := range r.ofType(parts, `^AWS::ApiGateway::GatewayResponse$`) {
		r.gatewayResponse(child(r.tried(e.value), "Properties"), "resources.Resources."+e.name, e.key, responses)
	}
	for _, e := range r.ofType(parts, `^AWS::ApiGateway::BasePathMapping$`) {
		o := r.fields(child(r.tried(e.value), "Properties"), "resources.Resources."+e.name, basePathKeys)
		mappings = append(mappings, r.mapped(e, domains, o, o["BasePath"], o["RestApiId"], authorizer.REST))
	}
	for _, e := range r.ofType(parts, `^AWS::ApiGatewayV2::ApiMapping$`) {
		o := r.fields(child(r.tried(e.value), "Properties"), "resources.Resources."+e.name, apiMappingKeys)
		p := authorizer.HTTP
		if api := r.tried(o["ApiId"]); api != nil && referred(api) == restResource {
			p = authorizer.REST
		}
		mappings = append(mappings, r.mapped(e, domains, o, o["ApiMappingKey"], o["ApiId"], p))
	}
	for i, m := range mappings {
		for _, other := range mappings[:i] {
			if m.Domain == other.Domain && m.Path == other.Path && m.Domain != "" {
				r.fault(n, "resources: domain %s has two mappings of path %q", m.Domain, m.Path)
			}
		}
	}
	return responses, mappings
}

// ofType gives the resources whose type matches ("": all, with or without one), in the file's order.
func (r *reader) ofType(parts []*yaml.Node, types string) []entry {
	pattern := regexp.MustCompile(types)
	var found []entry
	for _, part := range parts {
		resources := r.tried(child(r.tried(part), "Resources"))
		if resources == nil || resources.Kind != yaml.MappingNode {
			continue
		}
		for _, e := range r.mapping(resources, "resources.Resources") {
			if kind := r.tried(child(r.tried(e.value), "Type")); types == "" || kind != nil && pattern.MatchString(kind.Value) {
				found = append(found, e)
			}
		}
	}
	return found
}

// tried resolves a node that may be beyond this reader, such as one of another file: nil then, and no fault.
func (r *reader) tried(n *yaml.Node) *yaml.Node {
	before := len(r.faults)
	n = r.resolve(n)
	r.faults = r.faults[:before]
	return n
}

// mapped reads one custom domain's path. The domain is a text, or refers to one that the file declares.
func (r *reader) mapped(e entry, domains, o map[string]*yaml.Node, path, api *yaml.Node, p authorizer.Protocol) Mapping {
	domain := o["DomainName"]
	at := "resources.Resources." + e.name
	want := map[authorizer.Protocol]string{authorizer.REST: restResource, authorizer.HTTP: httpResource}[p]
	if n := r.resolve(api); n == nil || referred(n) != want {
		r.fault(cmp.Or(api, e.key), "%s: want the API of this file, {Ref: %s} or {Ref: %s}", at, restResource, httpResource)
	}
	if n := r.tried(domain); n != nil && referred(n) != "" {
		domain = domains[referred(n)]
	}
	stage := map[authorizer.Protocol]string{authorizer.REST: r.stage(), authorizer.HTTP: "$default"}[p]
	if n := r.resolve(o["Stage"]); n == nil {
		r.fault(e.key, "%s.Stage is missing: want %s", at, stage) // else a caller would name it in the path
	} else if !cloudFormation(n) && n.Value != stage {
		r.fault(n, "%s.Stage %q: want %s", at, n.Value, stage)
	}
	m := Mapping{Domain: r.required(domain, at+".DomainName", e.key), Path: r.text(path, at+" path"), API: p}
	if m.Domain != "" && !domainName.MatchString(m.Domain) {
		r.fault(cmp.Or(domain, e.key), "%s.DomainName %q: want a name in lower case, such as api.example.com", at, m.Domain)
	}
	if m.Path == "(none)" { // API Gateway's own word for it
		m.Path = ""
	}
	if m.Path != "" && (!mappingSegments.MatchString(m.Path) || p == authorizer.REST && strings.Contains(m.Path, "/")) {
		r.fault(path, "%s: path %q: want letters, digits and $-_.+!*'(), without a slash at either end", at, m.Path)
	}
	return m
}

func (r *reader) gatewayResponse(n *yaml.Node, at string, parent *yaml.Node, all map[string]GatewayResponse) {
	o := r.fields(n, at, responseKeys)
	if api := r.resolve(o["RestApiId"]); api == nil || referred(api) != restResource {
		r.fault(cmp.Or(o["RestApiId"], parent), "%s.RestApiId: want the API of this file, {Ref: %s}", at, restResource)
	}
	kind := r.required(o["ResponseType"], at+".ResponseType", parent)
	if _, known := responseTypes[kind]; kind != "" && !known {
		r.fault(o["ResponseType"], "%s.ResponseType: no type %q", at, kind)
	}
	if _, twice := all[kind]; twice && kind != "" {
		r.fault(parent, "%s: a second response of type %s", at, kind)
	}
	response := GatewayResponse{Status: r.number(o["StatusCode"], at+".StatusCode", 0, 200, 599), Headers: map[string]string{}}
	for _, p := range r.mapping(o["ResponseParameters"], at+".ResponseParameters") {
		header, isHeader := strings.CutPrefix(p.name, "gatewayresponse.header.")
		value := r.text(p.value, at+".ResponseParameters."+p.name)
		name, ofContext := strings.CutPrefix(value, "context.")
		if !isHeader || !responseHeader.MatchString(value) || ofContext && !knownContext(name) {
			r.fault(p.key, "%s.ResponseParameters.%s is not supported: want gatewayresponse.header.NAME: \"'VALUE'\", method.request.header.NAME, method.request.querystring.NAME or context.NAME", at, p.name)
			continue
		}
		response.Headers[header] = value
	}
	templates := r.fields(o["ResponseTemplates"], at+".ResponseTemplates", templateKeys)
	response.Template = r.text(templates["application/json"], at+".ResponseTemplates.application/json")
	for _, variable := range anyVariable.FindAllString(response.Template, -1) {
		if !knownContext(strings.TrimPrefix(variable, "$context.")) {
			r.fault(templates["application/json"], "%s.ResponseTemplates: %s is not supported", at, variable)
		}
	}
	all[kind] = response
}

// referred is the name in !Ref NAME or {Ref: NAME}.
func referred(n *yaml.Node) string {
	switch intrinsic(n) {
	case "!Ref":
		return n.Value
	case "Ref":
		return n.Content[1].Value
	}
	return ""
}
