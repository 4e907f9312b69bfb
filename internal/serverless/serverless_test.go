package serverless

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/authorizer"
)

func environment(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func read(t *testing.T, doc string) *Service {
	t.Helper()
	s, err := Read([]byte(doc), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// describe prints a service so that a test can state the whole of it.
func describe(s *Service) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", s.Name, s.Stage, s.Region)
	for _, f := range s.Functions {
		fmt.Fprintf(&b, "%s %s %s %v %dMB env=%v\n", f.Name, f.Handler, f.Artifact, f.Timeout, f.Memory, f.Environment)
		for _, e := range f.Events {
			fmt.Fprintf(&b, "  %s %s", e.Protocol, e.Route())
			if cors, ok := s.Preflight[e.Path]; ok && e.Protocol == authorizer.REST {
				fmt.Fprintf(&b, " cors=%v", cors)
			}
			if e.Answers {
				b.WriteString(" answers")
			}
			if a := e.Authorizer; a != nil {
				fmt.Fprintf(&b, " <- %s=%s %s %s simple=%v %v %v %s", a.Name, a.Function, a.Type, a.PayloadVersion, a.SimpleResponses, a.TTL, a.IdentitySources, a.ValidationExpression)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// A deployment of every sort of function, in a copy of its own: an API more in the real file changes nothing here.
func TestReadTheSampleAPI(t *testing.T) {
	doc, err := os.ReadFile("testdata/sample.yml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(doc, environment("GATEHOUSE_AUTH0", `{"version":"v1"}`))
	if err != nil {
		t.Fatal(err)
	}
	const (
		rest = " <- authorizer=authorizer request  simple=false 0s [{method.request.header.Authorization header Authorization}] \n"
		http = " <- gatehouse=authorizer request 2.0 simple=false 0s [{$request.header.Authorization header Authorization}] \n"
	)
	want := "gatehouse dev us-east-1\n" +
		"authorizer bootstrap dist/authorizer.zip 5s 512MB env=map[GATEHOUSE_AUTH0:{\"version\":\"v1\"} GATEHOUSE_STAGE:dev]\n" +
		"health bootstrap dist/health.zip 5s 512MB env=map[]\n" +
		"  rest GET /health\n" +
		"  http GET /health\n" +
		"profile bootstrap dist/profile.zip 5s 512MB env=map[]\n" +
		"  rest GET /profile" + rest +
		"  http GET /profile" + http +
		"orders bootstrap dist/orders.zip 5s 512MB env=map[]\n" +
		"  rest GET /orders" + rest +
		"  rest GET /orders/{id}" + rest +
		"  rest GET /users/{id}/orders" + rest +
		"  rest POST /orders" + rest +
		"  rest DELETE /orders/{id}" + rest +
		"  http GET /orders" + http +
		"  http GET /orders/{id}" + http +
		"  http GET /users/{id}/orders" + http +
		"  http POST /orders" + http +
		"  http DELETE /orders/{id}" + http +
		"admin bootstrap dist/admin.zip 5s 512MB env=map[]\n" +
		"  rest GET /admin/users" + rest +
		"  http GET /admin/users" + http
	if got := describe(s); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The file that deploys reads, and an authorizer of it guards routes of both API types.
func TestReadTheDeployment(t *testing.T) {
	doc, err := os.ReadFile("../../serverless.yml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Read(doc, environment("GATEHOUSE_AUTH0", `{"version":"v1"}`))
	if err != nil {
		t.Fatal(err)
	}
	guarded := map[authorizer.Protocol]int{}
	for _, f := range s.Functions {
		for _, e := range f.Events {
			if e.Authorizer != nil && e.Authorizer.Function == "authorizer" {
				guarded[e.Protocol]++
			}
		}
	}
	if guarded[authorizer.REST] == 0 || guarded[authorizer.HTTP] == 0 {
		t.Errorf("guarded routes: %v, want some of either API", guarded)
	}
}

const head = "service: s\nprovider:\n  name: aws\n  runtime: provided.al2023\n"

func TestEveryFormOfAnEvent(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{"http: GET users/{id}", "rest GET /users/{id}"},
		{"http: get /users/{id}/", "rest GET /users/{id}"},
		{"http: any {proxy+}", "rest ANY /{proxy+}"},
		{"http: {method: get, path: /}", "rest GET /"},
		{"http: {method: get, path: a, integration: lambda_proxy, operationId: x}", "rest GET /a"},
		{"http: {method: get, path: a, integration: AWS_PROXY, cors: true}", "rest GET /a cors={[*] [Content-Type X-Amz-Date Authorization X-Api-Key X-Amz-Security-Token X-Amz-User-Agent X-Amzn-Trace-Id] [OPTIONS GET] [] false 0 }"},
		{"http: {method: get, path: a, cors: {origin: 'https://a.example', headers: [X], maxAge: 600}}", "rest GET /a cors={[https://a.example] [X] [OPTIONS GET] [] false 600 }"},
		{"http: {method: get, path: a, cors: {origins: ['https://a.example', 'https://*.b.example'], methods: [PUT], allowCredentials: true, cacheControl: no-store, headers: X}}",
			"rest GET /a cors={[https://a.example https://*.b.example] [X] [PUT OPTIONS GET] [] true 0 no-store}"},
		{"http: {method: get, path: a, cors: {origin: 'https://a.example, https://b.example', headers: [X]}}", "rest GET /a cors={[https://a.example https://b.example] [X] [OPTIONS GET] [] false 0 }"},
		{"http: {method: get, path: a, cors: false}", "rest GET /a"},
		{"http: {method: get, path: a, authorizer: auth}", "rest GET /a <- auth=auth token  simple=false 5m0s [{method.request.header.Authorization header Authorization}] "},
		{"http: {method: get, path: a, authorizer: {name: auth}}", "rest GET /a <- auth=auth token  simple=false 5m0s [{method.request.header.Authorization header Authorization}] "},
		{"http: {method: get, path: a, authorizer: {name: auth, type: TOKEN, resultTtlInSeconds: 0, identitySource: method.request.header.X, identityValidationExpression: '^Bearer .+$'}}",
			"rest GET /a <- auth=auth token  simple=false 0s [{method.request.header.X header X}] ^Bearer .+$"},
		{"http: {method: get, path: a, authorizer: {name: auth, type: request}}", "rest GET /a <- auth=auth request  simple=false 5m0s [{method.request.header.Authorization header Authorization}] "},
		{"http: {method: get, path: a, authorizer: {name: auth, type: request, resultTtlInSeconds: 0}}", "rest GET /a <- auth=auth request  simple=false 0s [] "},
		{"http: {method: get, path: a, authorizer: {name: auth, type: request, identitySource: 'method.request.header.A, method.request.querystring.q,context.identity.sourceIp,stageVariables.v'}}",
			"rest GET /a <- auth=auth request  simple=false 5m0s [{method.request.header.A header A} {method.request.querystring.q querystring q} {context.identity.sourceIp context identity.sourceIp} {stageVariables.v stageVariables v}] "},
		{"httpApi: GET /users/{id}", "http GET /users/{id}"},
		{"httpApi: '*'", "http $default"},
		{"httpApi: {path: '*'}", "http $default"},
		{"httpApi: {path: '*', method: '*'}", "http $default"},
		{"httpApi: {path: /a, method: '*'}", "http ANY /a"},
		{"httpApi: {path: /a, method: post, authorizer: plain}", "http POST /a <- plain=auth request 2.0 simple=false 0s [] "},
		{"httpApi: {path: /a, method: post, authorizer: {name: full, type: request}}",
			"http POST /a <- full=auth request 2.0 simple=true 1m0s [{$request.header.A header A} {$request.querystring.q querystring q} {$context.routeKey context routeKey} {$stageVariables.v stageVariables v}] "},
		{"httpApi: {path: /a, method: post, authorizer: unset}", "http POST /a <- unset=auth request 1.0 simple=false 5m0s [{$request.header.A header A}] "},
		{"websocket: $connect", "websocket $connect"},
		{"websocket: $default", "websocket $default"},
		{"websocket: {route: $connect, routeResponseSelectionExpression: $default, authorizer: auth}", "websocket $connect answers <- auth=auth request  simple=false 0s [{route.request.header.Auth header Auth}] "},
		{"websocket: {route: $connect, authorizer: {name: auth, identitySource: [route.request.querystring.token]}}", "websocket $connect <- auth=auth request  simple=false 0s [{route.request.querystring.token querystring token}] "},
		{"schedule: rate(1 hour)", ""},
	} {
		t.Run(c.event, func(t *testing.T) {
			s := read(t, head+`  httpApi:
    authorizers:
      plain: {type: request, functionName: auth}
      unset: {type: request, functionName: auth, payloadVersion: '1.0', identitySource: $request.header.A}
      full:
        name: other
        type: request
        functionName: auth
        enableSimpleResponses: true
        resultTtlInSeconds: 60
        identitySource: [$request.header.A, $request.querystring.q, $context.routeKey, $stageVariables.v]
functions:
  auth: {handler: bootstrap, timeout: 3}
  api:
    handler: bootstrap
    events:
      - `+c.event+"\n")
			got := describe(s)
			_, got, _ = strings.Cut(got, "api bootstrap  6s 1024MB env=map[]\n")
			want := ""
			if c.want != "" {
				want = "  " + c.want + "\n"
			}
			if got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if events := s.Functions[1].Events; len(events) == 1 && events[0].Line != 21 {
				t.Errorf("line %d", events[0].Line)
			}
		})
	}
}

func TestWhatDoesNotConcernUsIsIgnored(t *testing.T) {
	s := read(t, `
service: s
frameworkVersion: '3'
plugins: [serverless-offline]
custom: {unused: "${ssm:/never/asked}"}
package: {individually: true, artifact: all.zip}
provider:
  name: aws
  runtime: provided.al2023
  stage: prod-1
  region: eu-west-1
  apiGateway: {shouldStartNameWithService: true}
  tags: {a: !Sub "${AWS::Region}"}
  iam:
    role:
      statements:
        - Effect: Allow
          Resource: !Sub "arn:${AWS::Partition}:ssm:*"
          Condition: {StringEquals: !GetAtt Key.Arn}
  environment: {BOTH: provider, ONE: 1, NULL_ONE: null}
resources:
  Resources: {Table: {Type: "AWS::DynamoDB::Table", Properties: !Ref X}}
functions:
  a: {handler: bootstrap, role: !GetAtt Role.Arn, environment: {BOTH: function, YES: true}}
  b: {handler: bootstrap, package: {artifact: b.zip}, memorySize: 256, events: [{sqs: !GetAtt Q.Arn}]}
`)
	want := "s prod-1 eu-west-1\n" +
		"a bootstrap all.zip 6s 1024MB env=map[BOTH:function NULL_ONE: ONE:1 YES:true]\n" +
		"b bootstrap b.zip 6s 256MB env=map[BOTH:provider NULL_ONE: ONE:1]\n"
	if got := describe(s); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestGatewayResponses(t *testing.T) {
	const denied = `Denied: {Type: "AWS::ApiGateway::GatewayResponse", Properties: {RestApiId: !Ref ApiGatewayRestApi, ResponseType: ACCESS_DENIED,
        StatusCode: "403", ResponseParameters: {gatewayresponse.header.X-A: "'a b'"}, ResponseTemplates: {application/json: '{"d":"$context.authorizer.denied_by"}'}}}`
	const unauthorized = `Unauthorized: {Type: "AWS::ApiGateway::GatewayResponse", Properties: {RestApiId: {Ref: ApiGatewayRestApi}, ResponseType: "${self:custom.type}"}}`
	want := map[string]GatewayResponse{
		"ACCESS_DENIED": {Status: 403, Headers: map[string]string{"X-A": "'a b'"}, Template: `{"d":"$context.authorizer.denied_by"}`},
		"UNAUTHORIZED":  {Headers: map[string]string{}},
	}
	for name, resources := range map[string]string{
		"a mapping":         "resources:\n  Outputs: !Sub x\n  Resources:\n      " + denied + "\n      " + unauthorized + "\n",
		"a list":            "resources:\n  - Resources:\n      " + denied + "\n  - Resources:\n      " + unauthorized + "\n  - ${file(more.yml)}\n  - Conditions: {}\n",
		"among other files": "resources:\n  Resources:\n      " + denied + "\n      " + unauthorized + "\n      More: ${file(more.yml)}\n      Kind: {Type: \"${ssm:/x}\"}\n      Macro: !Transform {Name: x}\n",
	} {
		s := read(t, head+"custom: {type: UNAUTHORIZED}\n"+resources)
		if !reflect.DeepEqual(s.GatewayResponses, want) {
			t.Errorf("%s: got %+v", name, s.GatewayResponses)
		}
	}
	for _, resources := range []string{"", "resources: ${file(all.yml)}\n", "resources: {Resources: '${file(all.yml)}'}\n", "resources: null\n", "resources: {Outputs: {}}\n"} {
		if s := read(t, head+resources); len(s.GatewayResponses) != 0 {
			t.Errorf("%s: got %+v", resources, s.GatewayResponses)
		}
	}
}

func TestNoFunctions(t *testing.T) {
	if s := read(t, head); len(s.Functions) != 0 || s.HTTPCORS != nil || s.RouteSelection != "$request.body.action" {
		t.Errorf("got %+v", s)
	}
}

// Routes of one path share one answer to a preflight, as the framework merges them.
func TestCORSOfOnePath(t *testing.T) {
	s := read(t, head+`
functions:
  f:
    handler: x
    events:
      - http: {method: get, path: a, cors: {origin: 'https://a.example', headers: [X], maxAge: 5}}
      - http: {method: delete, path: a, cors: {origin: 'https://b.example', headers: [Y, X], maxAge: 7, allowCredentials: true}}
      - http: {method: put, path: a}
      - http: {method: get, path: b, cors: {headers: [Z]}}
`)
	want := map[string]CORS{
		"/a": {Origins: []string{"https://b.example", "https://a.example"}, Headers: []string{"Y", "X"}, Methods: []string{"OPTIONS", "DELETE", "GET"}, Credentials: true, MaxAge: 7},
		"/b": {Origins: []string{"*"}, Headers: []string{"Z"}, Methods: []string{"OPTIONS", "GET"}},
	}
	if !reflect.DeepEqual(s.Preflight, want) {
		t.Errorf("got %+v", s.Preflight)
	}
}

func TestCORSOfAnHTTPAPI(t *testing.T) {
	const routes = "functions:\n  f: {handler: x, events: [{httpApi: GET /a}, {httpApi: POST /a}, {http: DELETE a}, {httpApi: '*'}]}\n"
	for _, c := range []struct {
		cors string
		want *CORS
	}{
		{"false", nil},
		{"true", &CORS{Origins: []string{"*"}, Headers: corsHeaders, Methods: []string{"OPTIONS", "GET", "POST"}}},
		{"{allowedOrigins: 'https://a.example', allowedHeaders: [X], exposedResponseHeaders: [Warning], maxAge: 60, allowCredentials: true}",
			&CORS{Origins: []string{"https://a.example"}, Headers: []string{"X"}, Methods: []string{"OPTIONS", "GET", "POST"}, Exposed: []string{"Warning"}, Credentials: true, MaxAge: 60}},
		{"{allowedMethods: [get, '*']}", &CORS{Origins: []string{"*"}, Headers: corsHeaders, Methods: []string{"GET", "*"}}},
	} {
		if s := read(t, head+"  httpApi: {payload: '2.0', cors: "+c.cors+"}\n"+routes); !reflect.DeepEqual(s.HTTPCORS, c.want) {
			t.Errorf("%s: got %+v", c.cors, s.HTTPCORS)
		}
	}
	s := read(t, head+"  httpApi: {cors: true}\nfunctions:\n  f: {handler: x, events: [{httpApi: 'ANY /a'}]}\n")
	if want := []string{"OPTIONS", "GET", "POST", "PUT", "PATCH", "HEAD", "DELETE"}; !reflect.DeepEqual(s.HTTPCORS.Methods, want) {
		t.Errorf("of a route for every method: %v", s.HTTPCORS.Methods)
	}
}

// What CloudFormation fills in has a value here where this machine has one too.
func TestWhatADeploymentFillsIn(t *testing.T) {
	s := read(t, head+`
functions:
  f:
    handler: x
    reservedConcurrency: 0
    environment:
      APIS: !Sub "${AWS::AccountId}/${ApiGatewayRestApi},${AWS::AccountId}/${HttpApi},${WebsocketsApi}"
      LONG: {Fn::Sub: "arn:${AWS::Partition}:x:${AWS::Region}"}
      REF: !Ref ApiGatewayRestApi
      OTHER: {Ref: AWS::Region}
  g: {handler: x}
`)
	want := map[string]string{"APIS": "123456789012/localrest0,123456789012/localhttp0,localwebs0", "LONG": "arn:aws:x:us-east-1", "REF": "localrest0", "OTHER": "us-east-1"}
	if !reflect.DeepEqual(s.Functions[0].Environment, want) {
		t.Errorf("got %v", s.Functions[0].Environment)
	}
	if f, g := s.Functions[0].Reserved, s.Functions[1].Reserved; f == nil || *f != 0 || g != nil {
		t.Errorf("reserved: %v and %v", f, g)
	}
}

func TestPartition(t *testing.T) {
	for region, want := range map[string]string{"eu-west-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		if got := Partition(region); got != want {
			t.Errorf("%s: %s", region, got)
		}
	}
}

func TestCustomDomains(t *testing.T) {
	s := read(t, head+`
resources:
  Resources:
    Domain: {Type: "AWS::ApiGateway::DomainName", Properties: {DomainName: rest.example.com}}
    V1: {Type: "AWS::ApiGateway::BasePathMapping", Properties: {DomainName: !Ref Domain, BasePath: v1, RestApiId: !Ref ApiGatewayRestApi, Stage: dev}}
    Root: {Type: "AWS::ApiGateway::BasePathMapping", Properties: {DomainName: other.example.com, BasePath: (none), RestApiId: {Ref: ApiGatewayRestApi}, Stage: dev}}
    Http: {Type: "AWS::ApiGatewayV2::ApiMapping", Properties: {DomainName: http.example.com, ApiMappingKey: a/b, ApiId: !Ref HttpApi, Stage: $default}}
    Order: {Type: "AWS::ApiGateway::Account"}
    Rest: {Type: "AWS::ApiGatewayV2::ApiMapping", Properties: {DomainName: http.example.com, ApiId: !Ref ApiGatewayRestApi, Stage: !Ref X}}
  extensions:
    ApiGatewayMethodHealthGet: {DependsOn: [Order]}
    AuthorizerLambdaPermissionApiGateway: {Properties: {SourceArn: !Sub x}}
`)
	want := []Mapping{{"rest.example.com", "v1", "rest"}, {"other.example.com", "", "rest"}, {"http.example.com", "a/b", "http"}, {"http.example.com", "", "rest"}}
	if !reflect.DeepEqual(s.Mappings, want) {
		t.Errorf("got %+v", s.Mappings)
	}
}

func TestVariables(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"plain", "plain"},
		{"${self:service}", "s"},
		{"a-${self:custom.name}-${sls:stage}", "a-table-dev"},
		{"${self:custom.${sls:stage}.size}", "small"},
		{"${self:custom.list.1}", "two"},
		{"${self:custom.list.9, 'none'}", "none"},
		{"${self:custom.none, self:custom.name}", "table"},
		{"${self:custom.none, ${self:custom.name}}", "table"},
		{"${self:custom.chain}", "table"},
		{"${self:custom.alias}", "table"},
		{"${opt:stage, 'dev'}", "dev"},
		{`${opt:stage, "a, b}"}`, "a, b}"},
		{"${opt:n, 5}", "5"},
		{"${opt:n, true}", "true"},
		{"${env:SET}", "from env"},
		{"${env:EMPTY}", ""},
		{"${env:NAME_${self:custom.list.0}}", "indirect"},
		{"${env:UNSET, 'fallback'}", "fallback"},
		{"${aws:region}/${aws:accountId}/${aws:partition}", "us-east-1/123456789012/aws"},
		{"arn:${AWS::Partition}:x", "arn:${AWS::Partition}:x"},
		{"$ {not} $", "$ {not} $"},
	} {
		t.Run(c.value, func(t *testing.T) {
			doc := head + `
custom:
  name: &name table
  alias: *name
  chain: ${self:custom.alias}
  dev: {size: small}
  list: [one, two]
functions:
  f:
    handler: bootstrap
    environment:
      V: '` + strings.ReplaceAll(c.value, "'", "''") + "'\n"
			s, err := Read([]byte(doc), environment("SET", "from env", "EMPTY", "", "NAME_one", "indirect"))
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Functions[0].Environment["V"]; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAVariableMayBeAnyValue(t *testing.T) {
	s := read(t, `
service: s
custom:
  auth: {name: f, type: request, resultTtlInSeconds: "${self:custom.ttl}"}
  ttl: 60
  events:
    - http: {path: a, method: get, authorizer: "${self:custom.auth}"}
provider: {name: aws, runtime: provided.al2023, stage: "${opt:stage, 'qa'}", region: "${opt:region, 'eu-north-1'}", timeout: "10"}
functions:
  f: {handler: bootstrap, events: "${self:custom.events}", environment: {R: "${aws:region}"}}
`)
	e := s.Functions[0].Events[0]
	if s.Stage != "qa" || s.Region != "eu-north-1" || e.Authorizer.TTL != time.Minute || e.Route() != "GET /a" || s.Functions[0].Timeout != 10*time.Second || s.Functions[0].Environment["R"] != "eu-north-1" {
		t.Errorf("got %+v", s)
	}
}

func TestFaultsNameTheirLine(t *testing.T) {
	event := func(e string) string {
		return head + "functions:\n  f:\n    handler: bootstrap\n    events:\n      - " + e + "\n"
	}
	declared := func(a string) string {
		return head + "  httpApi:\n    authorizers:\n      x: " + a + "\nfunctions:\n  f: {handler: bootstrap}\n"
	}
	value := func(v string) string {
		return head + "functions:\n  f:\n    handler: bootstrap\n    environment:\n      V: " + v + "\n"
	}
	response := func(properties string) string {
		return head + "\nresources:\n  Resources:\n    R:\n      Type: AWS::ApiGateway::GatewayResponse\n      Properties: " + properties + "\n"
	}
	domain := func(properties string) string {
		return head + "\nresources:\n  Resources:\n    R:\n      Type: AWS::ApiGateway::BasePathMapping\n      Properties: " + properties + "\n"
	}
	for _, c := range []struct{ name, doc, want string }{
		{"empty", "", "read serverless.yml: empty"},
		{"no YAML", "a: [", "read serverless.yml: yaml: "},
		{"two documents", head + "---\n" + head, "read serverless.yml: more than one document"},
		{"a list", "- a", "line 1: the file: want a mapping"},
		{"null", "null", "line 1: service is missing"},
		{"unknown top key", head + "fucntions: {}\n", `line 5: the file: unknown key "fucntions"`},
		{"twice", head + "service: t\n", `line 5: the file: "service" stands here twice`},
		{"key that is no text", head + "[a]: b\n", "line 5: the file: want text as a key"},
		{"merge key", head + "functions:\n  f: {<<: {handler: a}, handler: b}\n", `line 6: functions.f: unknown key "<<"`},
		{"service missing", "provider: {name: aws}\n", "line 1: service is missing"},
		{"provider missing", "service: s\n", "line 1: provider.name is missing"},
		{"another provider", "service: s\nprovider:\n  name: google\n", `line 3: provider.name "google": only aws is supported`},
		{"unknown provider key", head + "  runtme: x\n", `line 5: provider: unknown key "runtme"`},
		{"stage", head + "  stage: a/b\n", `line 5: provider.stage "a/b": want letters`},
		{"stage that names itself", head + "  stage: ${sls:stage}\n", "line 5: variables refer to each other without end"},
		{"resource policy", head + "  apiGateway: {resourcePolicy: []}\n", "line 5: provider.apiGateway.resourcePolicy is not supported yet"},
		{"external HTTP API", head + "  httpApi: {id: x}\n", "line 5: provider.httpApi.id is not supported yet"},
		{"HTTP API under its domains alone", head + "  httpApi: {disableDefaultEndpoint: true}\n", "line 5: provider.httpApi.disableDefaultEndpoint is not supported yet"},
		{"payload 1.0", head + "  httpApi: {payload: '1.0'}\n", `line 5: provider.httpApi.payload "1.0" is not supported yet`},
		{"functions as a list", head + "functions: [a]\n", "line 5: functions: want a mapping"},
		{"function's name", head + "functions:\n  a/b: {handler: x}\n", "line 6: functions.a/b: a function's name is"},
		{"handler missing", head + "functions:\n  f: {}\n", "line 6: functions.f.handler is missing"},
		{"handler null", head + "functions:\n  f: {handler: null}\n", "line 6: functions.f.handler is missing"},
		{"handler as a list", head + "functions:\n  f: {handler: []}\n", "line 6: functions.f.handler: want text"},
		{"image", head + "functions:\n  f: {handler: x, image: y}\n", "line 6: functions.f.image is not supported yet"},
		{"timeout", head + "functions:\n  f: {handler: x, timeout: 901}\n", "line 6: functions.f.timeout: want a whole number from 1 to 900"},
		{"timeout that is text", head + "functions:\n  f: {handler: x, timeout: soon}\n", "line 6: functions.f.timeout: want a whole number"},
		{"timeout that is empty", head + "functions:\n  f: {handler: x, timeout: ''}\n", "line 6: functions.f.timeout: want a whole number"},
		{"memory", head + "functions:\n  f: {handler: x, memorySize: 64}\n", "line 6: functions.f.memorySize: want a whole number from 128 to 10240"},
		{"environment", head + "functions:\n  f: {handler: x, environment: [a]}\n", "line 6: functions.f.environment: want a mapping"},
		{"environment's names", head + "functions:\n  f: {handler: x, environment: {a=b: c}}\n", `line 6: functions.f.environment: "a=b" is not a variable's name`},
		{"!Ref", value("!Ref Table"), "line 9: functions.f.environment.V: CloudFormation's ${Table} has no value"},
		{"Ref", value("{Ref: Table}"), "line 9: functions.f.environment.V: CloudFormation's ${Table} has no value"},
		{"!Sub", value("!Sub 'a-${AWS::StackName}'"), "line 9: functions.f.environment.V: CloudFormation's ${AWS::StackName} has no value"},
		{"Sub of a list", value("{'Fn::Sub': [a, {}]}"), "line 9: functions.f.environment.V: CloudFormation's Fn::Sub has no value"},
		{"Fn::Join", value("{'Fn::Join': [a, [b]]}"), "line 9: functions.f.environment.V: CloudFormation's Fn::Join has no value"},
		{"Fn for a list", head + "functions:\n  f: {handler: x, events: !Split [a, b]}\n", "line 6: functions.f.events: want a list"},
		{"Fn for a mapping", head + "functions:\n  f: {handler: x, environment: {Ref: b}}\n", "line 6: functions.f.environment: want a mapping"},

		{"gateway response of no API", response("{ResponseType: UNAUTHORIZED}"), "line 8: resources.Resources.R.RestApiId: want the API of this file, {Ref: ApiGatewayRestApi}"},
		{"gateway response of another API", response("{RestApiId: !Ref Other, ResponseType: UNAUTHORIZED}"), "line 10: resources.Resources.R.RestApiId: want"},
		{"gateway response of an API by its id", response("{RestApiId: a1b2c3, ResponseType: UNAUTHORIZED}"), "line 10: resources.Resources.R.RestApiId: want"},
		{"gateway response without properties", response("null"), "line 8: resources.Resources.R.ResponseType is missing"},
		{"gateway response of no type", response("{RestApiId: !Ref ApiGatewayRestApi}"), "line 8: resources.Resources.R.ResponseType is missing"},
		{"gateway response of another type", response("{RestApiId: !Ref ApiGatewayRestApi, ResponseType: DEFAULT_3XX}"), `line 10: resources.Resources.R.ResponseType: no type "DEFAULT_3XX"`},
		{"gateway response's unknown property", response("{RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED, Status: 1}"), `unknown key "Status"`},
		{"gateway response's status", response("{RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED, StatusCode: 199}"), "StatusCode: want a whole number from 200 to 599"},
		{"gateway response's parameter", response("{RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED, ResponseParameters: {gatewayresponse.header.X: method.request.body.Y}}"), "gatewayresponse.header.X is not supported"},
		{"gateway response's parameter of no context", response("{RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED, ResponseParameters: {gatewayresponse.header.X: context.nothing}}"), "gatewayresponse.header.X is not supported"},
		{"gateway response's parameter of a path", response(`{RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED, ResponseParameters: {gatewayresponse.path.X: "'a'"}}`), "gatewayresponse.path.X is not supported"},
		{"gateway response's content type", response("{RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED, ResponseTemplates: {text/html: x}}"), `unknown key "text/html"`},
		{"gateway response's variable", response("{RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED, ResponseTemplates: {application/json: $context.error.validationErrorString}}"), "$context.error.validationErrorString is not supported"},
		{"gateway response twice", response("{RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED}") +
			"    S: {Type: \"AWS::ApiGateway::GatewayResponse\", Properties: {RestApiId: !Ref ApiGatewayRestApi, ResponseType: UNAUTHORIZED}}\n", "line 11: resources.Resources.S: a second response of type UNAUTHORIZED"},

		{"unset variable", value("${env:SECRET}"), "line 9: variable ${env:SECRET} has no value and no fallback"},
		{"unset option", value("${opt:x}"), "line 9: variable ${opt:x} has no value"},
		{"unset inner variable", value("${self:custom.${env:X}}"), "line 9: variable ${self:custom.${env:X}} needs a value that is not there"},
		{"another source", value("${ssm:/a}"), "line 9: variable ${ssm:/a} has a source that is not supported"},
		{"a file", value("${file(a.yml)}"), "line 9: variable ${file(a.yml)} has a source that is not supported"},
		{"no end", value("'${self:a'"), `line 9: variable "${self:a" has no end`},
		{"a mapping within text", value("x${self:provider}"), "line 9: variable ${self:provider} is not text and stands within text"},
		{"a mapping for text", value("${self:provider}"), "line 3: functions.f.environment.V: want text"},
		{"a loop", head + "custom: {a: '${self:custom.b}', b: '${self:custom.a}'}\n" + strings.TrimPrefix(value("${self:custom.a}"), head), "variables refer to each other without end"},
		{"a bomb", head + bomb() + strings.TrimPrefix(value("${self:custom.a0}"), head), "grows beyond 8192 bytes"},
		{"a bomb of nothing", head + strings.Replace(bomb(), "xxxxxxxx", "", 1) + strings.TrimPrefix(value("${self:custom.a0}"), head), "more than 10000 variables"},

		{"unknown event", event("htp: GET a"), `line 9: functions.f.events[0]: unknown key "htp"`},
		{"two events in one", event("{http: GET a, httpApi: GET /b}"), "line 9: functions.f.events[0]: more than one kind of event"},
		{"events that are no list", head + "functions:\n  f: {handler: x, events: {}}\n", "line 6: functions.f.events: want a list"},
		{"REST without a path", event("http: GET"), `line 9: functions.f.events[0].http: want "METHOD path"`},
		{"REST object without a path", event("http: {method: get}"), "line 9: functions.f.events[0].http.path is missing"},
		{"REST object without a method", event("http: {path: a}"), "line 9: functions.f.events[0].http.method is missing"},
		{"REST method", event("http: FETCH a"), `line 9: functions.f.events[0].http: method "FETCH": want one of any, get`},
		{"REST template", event("http: GET a/{b"), `line 9: route "GET /a/{b": segment "{b"`},
		{"REST double slash", event("http: GET a//b"), `line 9: route "GET /a//b"`},
		{"REST integration", event("http: {method: get, path: a, integration: lambda}"), `line 9: functions.f.events[0].http.integration "lambda" is not supported yet`},
		{"REST api key", event("http: {method: get, path: a, private: true}"), "line 9: functions.f.events[0].http.private is not supported yet"},
		{"REST cors", event("http: {method: get, path: a, cors: maybe}"), "line 9: functions.f.events[0].http.cors: want true or false"},
		{"REST cors, a key", event("http: {method: get, path: a, cors: {allowedOrigins: [a]}}"), `line 9: functions.f.events[0].http.cors: unknown key "allowedOrigins"`},
		{"REST cors, a method", event("http: {method: get, path: a, cors: {methods: [FETCH]}}"), `method "FETCH"`},
		{"HTTP cors", head + "  httpApi: {cors: maybe}\n", "line 5: provider.httpApi.cors: want true or false"},
		{"HTTP cors, a key", head + "  httpApi: {cors: {origin: a}}\n", `line 5: provider.httpApi.cors: unknown key "origin"`},
		{"HTTP cors, credentials for everybody", head + "  httpApi: {cors: {allowCredentials: true}}\n", "allowCredentials does not go with every origin"},
		{"reserved concurrency", head + "functions:\n  f: {handler: x, reservedConcurrency: -1}\n", "functions.f.reservedConcurrency: want a whole number"},
		{"route selection", head + "  websocketsApiRouteSelectionExpression: $request.header.x\n", "line 5: provider.websocketsApiRouteSelectionExpression"},
		{"route response", event("websocket: {route: a, routeResponseSelectionExpression: x}"), "routeResponseSelectionExpression \"x\": want $default"},
		{"domain's API", domain("{DomainName: a.example, RestApiId: x}"), "line 10: resources.Resources.R: want the API of this file"},
		{"domain's name", domain("{DomainName: A, RestApiId: !Ref ApiGatewayRestApi}"), `resources.Resources.R.DomainName "A": want a name`},
		{"domain without a name", domain("{RestApiId: !Ref ApiGatewayRestApi}"), "resources.Resources.R.DomainName is missing"},
		{"domain that nobody declares", domain("{DomainName: !Ref X, RestApiId: !Ref ApiGatewayRestApi}"), "resources.Resources.R.DomainName is missing"},
		{"domain of another stage", domain("{DomainName: a.example, RestApiId: !Ref ApiGatewayRestApi, Stage: other}"), `resources.Resources.R.Stage "other": want dev`},
		{"domain with client certificates", head + "\nresources:\n  Resources:\n    D: {Type: \"AWS::ApiGateway::DomainName\", Properties: {DomainName: a.example, MutualTlsAuthentication: {TruststoreUri: x}}}\n", "line 8: resources.Resources.D.MutualTlsAuthentication is not supported"},
		{"a route of its own", head + "\nresources:\n  Resources:\n    R: {Type: \"AWS::ApiGatewayV2::Route\"}\n", "line 8: resources.Resources.R: AWS::ApiGatewayV2::Route is not supported: it would be deployed and not served"},
		{"function URL", head + "functions:\n  f: {handler: x, url: true}\n", "line 6: functions.f.url is not supported yet"},
		{"private endpoint", head + "  endpointType: Private\n", `line 5: provider.endpointType "Private" is not supported yet`},
		{"domain with two mappings", domain("{DomainName: a.example, RestApiId: !Ref ApiGatewayRestApi, Stage: dev}") + "    S: {Type: \"AWS::ApiGatewayV2::ApiMapping\", Properties: {DomainName: a.example, ApiId: !Ref HttpApi, Stage: $default}}\n", `resources: domain a.example has two mappings of path ""`},
		{"domain without a stage", domain("{DomainName: a.example, RestApiId: !Ref ApiGatewayRestApi}"), "resources.Resources.R.Stage is missing: want dev"},
		{"paths of one name", event("http: GET report_x\n      - http: POST reportx"), "line 10: functions.f.events[1]: /report_x and /reportx have one name in CloudFormation"},
		{"routes of one name", event("httpApi: GET /Case\n      - httpApi: GET /case"), "line 10: functions.f.events[1]: GET /Case and GET /case have one name in CloudFormation"},
		{"authorizers of one name", head + "  httpApi:\n    authorizers:\n      strict: {type: request, functionName: f}\n      Strict: {type: request, functionName: f}\nfunctions:\n  f: {handler: x}\n", "line 8: provider.httpApi.authorizers: strict and Strict have one name"},
		{"a merge key among resources", head + "\ncustom: {a: &a {X: {Type: y}}}\nresources:\n  Resources: {<<: *a}\n", "line 8: merge keys are not supported"},
		{"a merge key behind an alias", head + "\ncustom: {a: &a {X: {Type: y}}, b: &b {<<: *a}}\nresources: {extensions: *b}\n", "line 6: merge keys are not supported"},
		{"an override without a type", head + "\nresources:\n  Resources:\n    ApiGatewayMethodOrdersGet: {Properties: {AuthorizationType: NONE}}\n", "line 8: resources.Resources.ApiGatewayMethodOrdersGet is not supported"},
		{"an extension of a method", head + "\nresources:\n  extensions:\n    ApiGatewayMethodAGet: {Properties: {AuthorizationType: NONE}}\n", "line 8: resources.extensions.ApiGatewayMethodAGet.Properties is not supported: it would be deployed and not served"},
		{"an extension of an authorizer", head + "\nresources:\n  extensions:\n    AuthApiGatewayAuthorizer: {Properties: {AuthorizerResultTtlInSeconds: 300}}\n", "resources.extensions.AuthApiGatewayAuthorizer.Properties is not supported"},
		{"an extension of a route", head + "\nresources:\n  extensions:\n    HttpApiRouteGetA: {Properties: {}}\n", "resources.extensions.HttpApiRouteGetA.Properties is not supported"},
		{"domain's path", domain("{DomainName: a.example, BasePath: a/b, RestApiId: !Ref ApiGatewayRestApi}"), `resources.Resources.R: path "a/b": want letters`},
		{"route twice", event("http: GET a\n      - http: {method: get, path: /a/}"), `line 10: functions.f.events[1]: route "GET /a" stands in line 9 already`},
		{"HTTP without a path", event("httpApi: GET"), "line 9: functions.f.events[0].httpApi: want a method and a path that starts with /"},
		{"HTTP object without a path", event("httpApi: {method: GET}"), "line 9: functions.f.events[0].httpApi.path is missing"},
		{"HTTP without a method", event("httpApi: {path: /a}"), "line 9: functions.f.events[0].httpApi: want a method"},
		{"HTTP relative", event("httpApi: GET a"), "line 9: functions.f.events[0].httpApi: want a method and a path that starts with /"},
		{"HTTP * with a method", event("httpApi: {path: '*', method: GET}"), "line 9: functions.f.events[0].httpApi: path * takes every method"},
		{"HTTP method", event("httpApi: FETCH /a"), `method "FETCH"`},
		{"HTTP template", event("httpApi: GET /{a+}/b"), `line 9: route "GET /{a+}/b"`},
		{"websocket without a route", event("websocket: {}"), "line 9: functions.f.events[0].websocket.route is missing"},
		{"websocket authorizer elsewhere", event("websocket: {route: $default, authorizer: f}"), "line 9: functions.f.events[0].websocket.authorizer: only $connect can have one"},

		{"REST authorizer by ARN", event("http: {method: get, path: a, authorizer: {arn: x, name: f}}"), "authorizer.arn is not supported yet"},
		{"REST authorizer of IAM", event("http: {method: get, path: a, authorizer: aws_iam}"), `line 9: functions.f.events[0].http.authorizer: no function "aws_iam" in this file`},
		{"REST authorizer's type", event("http: {method: get, path: a, authorizer: {name: f, type: cognito_user_pools}}"), `authorizer.type "cognito_user_pools" is not supported: want token or request`},
		{"REST authorizer without a name", event("http: {method: get, path: a, authorizer: {type: request}}"), `no function "" in this file`},
		{"REST TTL", event("http: {method: get, path: a, authorizer: {name: f, resultTtlInSeconds: 3601}}"), "authorizer.resultTtlInSeconds: want a whole number from 0 to 3600"},
		{"REST identity source", event("http: {method: get, path: a, authorizer: {name: f, type: request, identitySource: method.request.path.id}}"), `identitySource "method.request.path.id": want method.request.header.NAME`},
		{"REST identity source of an HTTP API", event("http: {method: get, path: a, authorizer: {name: f, type: request, identitySource: $request.header.A}}"), `identitySource "$request.header.A": want`},
		{"REST empty identity source", event("http: {method: get, path: a, authorizer: {name: f, type: request, identitySource: 'method.request.header.A,'}}"), `identitySource "": want`},
		{"TOKEN with two sources", event("http: {method: get, path: a, authorizer: {name: f, identitySource: 'method.request.header.A,method.request.header.B'}}"), "type token takes exactly one header"},
		{"TOKEN with a query", event("http: {method: get, path: a, authorizer: {name: f, identitySource: method.request.querystring.A}}"), "type token takes exactly one header"},
		{"expression without TOKEN", event("http: {method: get, path: a, authorizer: {name: f, type: request, identityValidationExpression: a}}"), "applies to type token only"},
		{"expression that is none", event("http: {method: get, path: a, authorizer: {name: f, identityValidationExpression: '('}}"), "identityValidationExpression: error parsing regexp"},
		{"expression without an end", event("http: {method: get, path: a, authorizer: {name: f, identityValidationExpression: '^a'}}"), `identityValidationExpression: "^a" is not anchored`},
		{"expression without a beginning", event("http: {method: get, path: a, authorizer: {name: f, identityValidationExpression: 'a$'}}"), "is not anchored"},
		{"expression anchored by half", event("http: {method: get, path: a, authorizer: {name: f, identityValidationExpression: '^a|b$'}}"), "is not anchored"},
		{"one name, two settings", event("http: {method: get, path: a, authorizer: f}\n      - http: {method: get, path: b, authorizer: {name: f, type: request}}"), `line 10: functions.f.events[1].http.authorizer: authorizer "f" has other settings elsewhere`},
		{"REST authorizer null", event("http: {method: get, path: a, authorizer: }"), "line 9: functions.f.events[0].http.authorizer is empty"},
		{"REST authorizer empty", event("http: {method: get, path: a, authorizer: ''}"), `no function ""`},
		{"HTTP authorizer null", event("httpApi: {method: GET, path: /a, authorizer: null}"), "line 9: functions.f.events[0].httpApi.authorizer is empty"},
		{"HTTP authorizer undeclared", event("httpApi: {method: GET, path: /a, authorizer: {name: x}}"), `line 9: functions.f.events[0].httpApi.authorizer: no authorizer "x" in provider.httpApi.authorizers`},
		{"HTTP authorizer of another type", event("httpApi: {method: GET, path: /a, authorizer: {type: aws_iam}}"), `authorizer.type "aws_iam" is not supported`},
		{"HTTP scopes", event("httpApi: {method: GET, path: /a, authorizer: {name: x, scopes: [a]}}"), "authorizer.scopes is not supported yet"},
		{"JWT", declared("{type: jwt}"), `line 7: provider.httpApi.authorizers.x.type "jwt" is not supported: want request`},
		{"no type", declared("{functionName: f}"), "line 7: provider.httpApi.authorizers.x.type is missing"},
		{"no function", declared("{type: request}"), "line 7: provider.httpApi.authorizers.x.functionName is missing"},
		{"unknown function", declared("{type: request, functionName: g}"), `line 7: provider.httpApi.authorizers.x: no function "g"`},
		{"payload version", declared("{type: request, functionName: f, payloadVersion: 2.0}"), "payloadVersion: want '1.0' or '2.0', in quotes"},
		{"simple 1.0", declared("{type: request, functionName: f, payloadVersion: '1.0', enableSimpleResponses: true}"), "enableSimpleResponses needs payloadVersion '2.0'"},
		{"TTL without a source", declared("{type: request, functionName: f, resultTtlInSeconds: 1}"), "answers are cached by identitySource, and there is none"},
		{"HTTP identity source", declared("{type: request, functionName: f, resultTtlInSeconds: 0, identitySource: [method.request.header.A, {}]}"), `identitySource "method.request.header.A": want $request.header.NAME`},
		{"websocket identity source", event("websocket: {route: $connect, authorizer: {name: f, identitySource: method.request.header.A}}"), `identitySource "method.request.header.A": want route.request.header.NAME`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Read([]byte(c.doc), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) || s != nil {
				t.Errorf("got %+v, %v\nwant an error with %q", s, err, c.want)
			}
		})
	}
}

// bomb is a chain of definitions, each twice the one below it.
func bomb() string {
	var b strings.Builder
	b.WriteString("custom:\n")
	for i := range 16 {
		fmt.Fprintf(&b, "  a%d: '${self:custom.a%d}${self:custom.a%d}'\n", i, i+1, i+1)
	}
	return b.String() + "  a16: 'xxxxxxxx'\n"
}

func TestAllFaultsAtOnceInTheOrderOfTheFile(t *testing.T) {
	_, err := Read([]byte(`
service: s
provider:
  name: aws
  nmae: x
custom:
  auth: {name: g}
functions:
  f:
    events:
      - http: {method: get, path: a, authorizer: "${self:custom.auth}"}
      - http: {method: get, path: b, authorizer: "${self:custom.auth}"}
      - http: {method: get, path: c, pth: d}
`), nil)
	want := `read serverless.yml: line 5: provider: unknown key "nmae"
line 7: functions.f.events[0].http.authorizer: no function "g" in this file
line 7: functions.f.events[1].http.authorizer: no function "g" in this file
line 9: functions.f.handler is missing
line 13: functions.f.events[2].http: unknown key "pth"`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestASecretIsInNoError(t *testing.T) {
	const secret = "hunter2"
	_, err := Read([]byte(head+`
functions:
  f:
    handler: bootstrap
    timeout: ${env:SECRET}
    environment: {A: "${self:custom.${env:SECRET}}", B: "${${env:SECRET}}", C: "${opt:x, ${env:SECRET}:y}"}
`), environment("SECRET", secret))
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	doc, err := os.ReadFile("../../serverless.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(doc))
	f.Add(head + "custom: {a: '${self:custom.a, \"x\"}'}\nfunctions:\n  f: {handler: '${self:custom}', events: [{http: 'GET ${sls:stage}'}]}\n")
	f.Add(head + "  stage: '${opt:s, ${self:provider.region}}'\n  region: '${aws:region}'\n")
	f.Add(head + "functions: &f\n  f: {handler: x, events: [{httpApi: '*'}, {websocket: $connect}]}\n")
	f.Fuzz(func(t *testing.T, doc string) {
		s, err := Read([]byte(doc), environment("GATEHOUSE_AUTH0", "{}"))
		if (s == nil) == (err == nil) {
			t.Fatalf("got %v and %v", s, err)
		}
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, fn := range s.Functions {
			names[fn.Name] = true
		}
		for _, fn := range s.Functions {
			if fn.Timeout < time.Second || fn.Memory < 128 || fn.Handler == "" {
				t.Fatalf("function %+v", fn)
			}
			for _, e := range fn.Events {
				if e.Protocol != authorizer.WebSocket {
					if _, err := authorizer.NewRoutes([]string{e.Route()}); err != nil {
						t.Fatal(err)
					}
				}
				if a := e.Authorizer; a != nil && (!names[a.Function] || a.TTL < 0 || a.TTL > time.Hour || a.Type != Token && a.Type != Request) {
					t.Fatalf("authorizer %+v", a)
				}
			}
		}
	})
}
