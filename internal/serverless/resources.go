package serverless

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// GatewayResponse is what a REST API answers by itself in one case, where the deployment says so (CloudFormation User
// Guide, "AWS::ApiGateway::GatewayResponse").
type GatewayResponse struct {
	Status   int               // 0: the type's own
	Headers  map[string]string // static values
	Template string            // of application/json: text with variables as ContextVariable has them; "": the type's own body
}

// ContextVariable matches the variables of a template.
const ContextVariable = `\$context\.[A-Za-z0-9_.]*[A-Za-z0-9_]`

const restAPI = "ApiGatewayRestApi" // the framework's name for the REST API of the file

var (
	responseKeys = keys{read: "RestApiId ResponseType StatusCode ResponseParameters ResponseTemplates"}
	templateKeys = keys{read: "application/json"}

	// Those to which an authorizer's answer or its error leads.
	responseTypes = []string{"ACCESS_DENIED", "UNAUTHORIZED"}

	anyVariable   = regexp.MustCompile(ContextVariable)
	readVariables = regexp.MustCompile(`^\$context\.(authorizer\.[A-Za-z0-9_]+|requestId)$`)
)

// gatewayResponses reads those among the CloudFormation resources, one mapping or a list of them. Other resources say
// nothing about routes, and may hold what only a deployment can read.
func (r *reader) gatewayResponses(n *yaml.Node) map[string]GatewayResponse {
	n = r.tried(n)
	parts := []*yaml.Node{n}
	if n != nil && n.Kind == yaml.SequenceNode {
		parts = n.Content
	}
	all := map[string]GatewayResponse{}
	for _, part := range parts {
		resources := r.tried(child(r.tried(part), "Resources"))
		if resources == nil || resources.Kind != yaml.MappingNode {
			continue
		}
		for _, e := range r.mapping(resources, "resources.Resources") {
			resource := r.tried(e.value)
			if kind := r.tried(child(resource, "Type")); kind != nil && kind.Value == "AWS::ApiGateway::GatewayResponse" {
				r.gatewayResponse(child(resource, "Properties"), "resources.Resources."+e.name, e.key, all)
			}
		}
	}
	return all
}

// tried resolves a node that may be beyond this reader, such as one of another file: nil then, and no fault.
func (r *reader) tried(n *yaml.Node) *yaml.Node {
	before := len(r.faults)
	n = r.resolve(n)
	r.faults = r.faults[:before]
	return n
}

func (r *reader) gatewayResponse(n *yaml.Node, at string, parent *yaml.Node, all map[string]GatewayResponse) {
	o := r.fields(n, at, responseKeys)
	if api := r.resolve(o["RestApiId"]); api == nil || referred(api) != restAPI {
		r.fault(firstOf(o["RestApiId"], parent), "%s.RestApiId: want the API of this file, {Ref: %s}", at, restAPI)
	}
	kind := r.required(o["ResponseType"], at+".ResponseType", parent)
	if kind != "" && !slices.Contains(responseTypes, kind) {
		r.fault(o["ResponseType"], "%s.ResponseType %q is not supported yet: want one of %s", at, kind, strings.Join(responseTypes, ", "))
	}
	if _, twice := all[kind]; twice && kind != "" {
		r.fault(parent, "%s: a second response of type %s", at, kind)
	}
	response := GatewayResponse{Status: r.number(o["StatusCode"], at+".StatusCode", 0, 400, 599), Headers: map[string]string{}}
	for _, p := range r.mapping(o["ResponseParameters"], at+".ResponseParameters") {
		header, isHeader := strings.CutPrefix(p.name, "gatewayresponse.header.")
		value := r.text(p.value, at+".ResponseParameters."+p.name)
		if !isHeader || len(value) < 2 || value[0] != '\'' || value[len(value)-1] != '\'' {
			r.fault(p.key, "%s.ResponseParameters.%s is not supported yet: want gatewayresponse.header.NAME: \"'VALUE'\"", at, p.name)
			continue
		}
		response.Headers[header] = value[1 : len(value)-1]
	}
	templates := r.fields(o["ResponseTemplates"], at+".ResponseTemplates", templateKeys)
	response.Template = r.text(templates["application/json"], at+".ResponseTemplates.application/json")
	for _, variable := range anyVariable.FindAllString(response.Template, -1) {
		if !readVariables.MatchString(variable) {
			r.fault(templates["application/json"], "%s.ResponseTemplates: %s is not supported yet: want $context.authorizer.NAME or $context.requestId", at, variable)
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
