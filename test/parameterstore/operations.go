package parameterstore

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	maxNames  = 10
	maxPage   = 10
	maxLevels = 15
	maxValue  = 4096 // of the standard tier. AWS says 4 KB here and 4,096 characters there: bytes are counted
	arn       = "arn:aws:ssm:" + Region + ":" + account + ":parameter"
	maxARN    = 1011
)

// parameter is one that is stored.
type parameter struct {
	name, kind, value, keyID string
	version                  int
	modified                 time.Time
}

// shown is a parameter in an answer.
type shown struct {
	ARN              string
	DataType         string
	LastModifiedDate float64
	Name             string
	Type             string
	Value            string
	Version          int
}

// show gives what an answer shows: a SecureString that is not to be decrypted as KMS made it.
func (p *parameter) show(decrypt bool) shown {
	value := p.value
	if p.kind == "SecureString" && !decrypt {
		value = base64.StdEncoding.EncodeToString([]byte("\x01\x02" + p.keyID + sum([]byte(p.value))))
	}
	return shown{arn + p.name, "text", float64(p.modified.UnixMilli()) / 1000, p.name, p.kind, value, p.version}
}

// store writes a parameter. The caller holds s.mu.
func (s *Server) store(name, kind, value string) *parameter {
	p := &parameter{name: name, kind: kind, value: value, version: 1, modified: time.Now()}
	if before := s.parameters[name]; before != nil {
		p.version, p.keyID = before.version+1, before.keyID
	}
	s.parameters[name] = p
	return p
}

// operations are those that the twin serves.
var operations = map[string]func(s *Server, body []byte, met fate) (any, *exception){
	"GetParameter":        (*Server).getParameter,
	"GetParameters":       (*Server).getParameters,
	"GetParametersByPath": (*Server).getParametersByPath,
	"PutParameter":        (*Server).putParameter,
	"DeleteParameter":     (*Server).deleteParameter,
	"DeleteParameters":    (*Server).deleteParameters,
}

// operationOf reads the name of the operation (AWS JSON 1.1 protocol).
func operationOf(r *http.Request) string {
	operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
	if !ok || r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		return ""
	}
	return operation
}

func read(body []byte, in any) *exception {
	if err := json.Unmarshal(body, in); err != nil {
		return refuse("SerializationException", "%v", err)
	}
	return nil
}

var characters = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)

// checkName refuses what is no name. Selectors (name:1) and ARNs, which the real one knows, are not served.
func checkName(name string) *exception {
	if name == "" || len(arn+name) > maxARN {
		return invalid("Parameter name: its length must be between 1 and %d, ARN included.", maxARN)
	}
	path, hierarchy := strings.CutPrefix(name, "/")
	levels := strings.Split(path, "/")
	if len(levels) > 1 && !hierarchy {
		return invalid("Parameter name must be a fully qualified name.")
	}
	if len(levels) > maxLevels {
		return refuse("HierarchyLevelLimitExceededException", "A hierarchy can have a maximum of %d levels.", maxLevels)
	}
	for _, level := range levels {
		if !characters.MatchString(level) {
			return invalid("Parameter name: can't be formed of other than a-zA-Z0-9_.- and single slashes.")
		}
	}
	return nil
}

// checkNames refuses what is no list of names. What AWS says to a name that comes twice is documented nowhere.
func checkNames(names []string) *exception {
	if len(names) < 1 || len(names) > maxNames {
		return invalid("1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length less than or equal to %d and greater than or equal to 1.", maxNames)
	}
	for i, name := range names {
		if fault := checkName(name); fault != nil {
			return fault
		}
		if slices.Contains(names[:i], name) {
			return invalid("names: the same one twice")
		}
	}
	return nil
}

func (s *Server) getParameter(body []byte, _ fate) (any, *exception) {
	var in struct {
		Name           string
		WithDecryption bool
	}
	if fault := read(body, &in); fault != nil {
		return nil, fault
	}
	if fault := checkName(in.Name); fault != nil {
		return nil, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.parameters[in.Name]
	if p == nil {
		return nil, refuse("ParameterNotFound", "")
	}
	return map[string]any{"Parameter": p.show(in.WithDecryption)}, nil
}

func (s *Server) getParameters(body []byte, met fate) (any, *exception) {
	var in struct {
		Names          []string
		WithDecryption bool
	}
	if fault := read(body, &in); fault != nil {
		return nil, fault
	}
	if fault := checkNames(in.Names); fault != nil {
		return nil, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(in.Names)
	if met.reorder {
		rand.Shuffle(len(in.Names), func(i, j int) { in.Names[i], in.Names[j] = in.Names[j], in.Names[i] })
	}
	found, missing := []shown{}, []string{}
	for _, name := range in.Names {
		if p := s.parameters[name]; p != nil {
			found = append(found, p.show(in.WithDecryption))
		} else {
			missing = append(missing, name)
		}
	}
	return map[string]any{"Parameters": found, "InvalidParameters": missing}, nil
}

func (s *Server) getParametersByPath(body []byte, _ fate) (any, *exception) {
	var in struct {
		Path, NextToken           string
		Recursive, WithDecryption bool
		MaxResults                *int
	}
	if fault := read(body, &in); fault != nil {
		return nil, fault
	}
	path := strings.TrimSuffix(in.Path, "/") + "/"
	if !strings.HasPrefix(in.Path, "/") || path != "/" && checkName(strings.TrimSuffix(path, "/")) != nil {
		return nil, invalid("The parameter path: must begin with / and be a name.")
	}
	most := maxPage
	if in.MaxResults != nil {
		most = *in.MaxResults
	}
	if most < 1 || most > maxPage {
		return nil, invalid("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to %d and greater than or equal to 1.", most, maxPage)
	}
	after, token, err := "", "", error(nil)
	if in.NextToken != "" {
		var text []byte
		text, err = base64.URLEncoding.DecodeString(in.NextToken)
		_, token, _ = strings.Cut(string(text), " ") // one number in front, so that no two tokens are the same
		after = token
	}
	if err != nil || in.NextToken != "" && token != "" && !strings.HasPrefix(token, path) {
		return nil, refuse("InvalidNextToken", "The specified token isn't valid.")
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.parameters)) {
		below, ok := strings.CutPrefix(name, path)
		if ok && name > after && (in.Recursive || !strings.Contains(below, "/")) {
			names = append(names, name)
		}
	}
	// Best effort: a page has anything from nothing to what was asked for, and a token where there may be more.
	page := names[:rand.IntN(min(most, len(names))+1)]
	if in.NextToken == "" && len(names) > 0 {
		page = nil // at least the first is empty, so that whoever stops there is found out
	}
	found := []shown{}
	for _, name := range page {
		found = append(found, s.parameters[name].show(in.WithDecryption))
		after = name
	}
	out := map[string]any{"Parameters": found}
	if len(page) < len(names) {
		out["NextToken"] = base64.URLEncoding.EncodeToString([]byte(time.Now().Format(time.RFC3339Nano) + " " + after))
	}
	return out, nil
}

func (s *Server) putParameter(body []byte, met fate) (any, *exception) {
	var in struct {
		Name, Type, Value, KeyId, Tier, DataType string
		Overwrite                                bool
	}
	if fault := read(body, &in); fault != nil {
		return nil, fault
	}
	if fault := checkName(in.Name); fault != nil {
		return nil, fault
	}
	if lower := strings.ToLower(strings.TrimPrefix(in.Name, "/")); strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ssm") {
		return nil, invalid(`Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`)
	}
	switch {
	case in.Value == "":
		return nil, invalid("1 validation error detected: Value at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.")
	case in.Tier != "" && in.Tier != "Standard": // Gatehouse must never ask for what costs
		return nil, invalid("tier %q is not served", in.Tier)
	case len(in.Value) > maxValue:
		return nil, invalid("Standard tier parameters support a maximum parameter value of %d characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier.", maxValue)
	case strings.Contains(in.Value, "{{"):
		return nil, invalid("Parameter value can't contain {{}} or have a nested parameter.")
	case in.DataType != "" && in.DataType != "text":
		return nil, invalid("data type %q is not served", in.DataType)
	case in.Type != "String" && in.Type != "StringList" && in.Type != "SecureString" && in.Type != "":
		return nil, refuse("UnsupportedParameterType", "%s", in.Type)
	case in.KeyId != "" && in.Type != "SecureString":
		return nil, invalid("KeyId is for a SecureString.")
	case in.KeyId != "" && in.KeyId != Key && in.KeyId != "alias/aws/ssm":
		return nil, refuse("InvalidKeyId", "The query key ID isn't valid.")
	}
	if fault := s.begin(in.Name); fault != nil {
		return nil, fault
	}
	time.Sleep(met.writing)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writing, in.Name)
	before := s.parameters[in.Name]
	switch {
	case before != nil && !in.Overwrite:
		return nil, refuse("ParameterAlreadyExists", "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
	case before == nil && in.Type == "":
		return nil, invalid("A parameter type is required when you create a parameter.")
	case in.Type == "":
		in.Type = before.kind
	case before != nil && before.kind != in.Type:
		return nil, refuse("HierarchyTypeMismatchException", "A parameter's type can't be changed.")
	}
	p := s.store(in.Name, in.Type, in.Value)
	if in.Type == "SecureString" && (p.keyID == "" || in.KeyId != "") {
		p.keyID = "alias/aws/ssm"
		if in.KeyId != "" {
			p.keyID = in.KeyId
		}
	}
	return map[string]any{"Tier": "Standard", "Version": p.version}, nil
}

// begin starts a write, unless another of the same name is under way.
func (s *Server) begin(name string) *exception {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing[name] {
		return refuse("TooManyUpdates", "There are concurrent updates for a resource that supports one update at a time.")
	}
	s.writing[name] = true
	return nil
}

func (s *Server) deleteParameter(body []byte, _ fate) (any, *exception) {
	var in struct{ Name string }
	if fault := read(body, &in); fault != nil {
		return nil, fault
	}
	if fault := checkName(in.Name); fault != nil {
		return nil, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parameters[in.Name] == nil {
		return nil, refuse("ParameterNotFound", "")
	}
	delete(s.parameters, in.Name)
	return struct{}{}, nil
}

func (s *Server) deleteParameters(body []byte, _ fate) (any, *exception) {
	var in struct{ Names []string }
	if fault := read(body, &in); fault != nil {
		return nil, fault
	}
	if fault := checkNames(in.Names); fault != nil {
		return nil, fault
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	deleted, missing := []string{}, []string{}
	for _, name := range in.Names {
		if s.parameters[name] == nil {
			missing = append(missing, name)
			continue
		}
		delete(s.parameters, name)
		deleted = append(deleted, name)
	}
	return map[string]any{"DeletedParameters": deleted, "InvalidParameters": missing}, nil
}
