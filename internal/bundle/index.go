package bundle

import "slices"

// index derives data.index from data.constraints: for each route of the table, and for requests on none of them, the
// parameters of the constraints that look at it, by template and name. So a decision costs what the constraints of its
// route cost, however many there are for others. The entrypoint works the same out of data.constraints where nobody
// made an index, as under the plain opa program (policies/gatehouse/scan).
//
// The data has passed checkShape. What it holds is shared, not copied: nobody writes to a loaded policy.
func index(data map[string]any) map[string]any {
	constraints := object(data["constraints"])
	routes := map[string]any{}
	for route := range object(data["routes"]) {
		routes[route] = inScope(constraints, route)
	}
	return map[string]any{"routes": routes, "otherwise": inScope(constraints, "")}
}

// inScope gives template -> constraint -> parameters on a route; "" is a route that the table lacks.
func inScope(constraints map[string]any, route string) map[string]any {
	found := map[string]any{}
	for name, entry := range constraints {
		c := object(entry)
		routes, _ := object(c["match"])["routes"].([]any)
		if len(routes) > 0 && !slices.Contains(routes, any(route)) {
			continue
		}
		template := c["template"].(string)
		if found[template] == nil {
			found[template] = map[string]any{}
		}
		parameters := c["parameters"]
		if parameters == nil {
			parameters = map[string]any{}
		}
		found[template].(map[string]any)[name] = parameters
	}
	return found
}
