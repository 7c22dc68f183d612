// Fills in what Go renders for the templates of engine.json. With Go 1.19: go run make.go < engine.json > new.json
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

// As the tests import JSON: whole numbers are int.
func natural(v any) any {
	switch x := v.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return int(i)
		}
		f, _ := x.Float64()
		return f
	case []any:
		for i := range x {
			x[i] = natural(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = natural(x[k])
		}
	}
	return v
}

func render(source string, dot any) (string, error) {
	functions := template.FuncMap{
		"json":        func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
		"currentDate": func(...string) string { return "2026-01-24" },
	}
	parsed, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(source)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	err = parsed.Execute(&out, dot)
	return out.String(), err
}

func main() {
	var file struct {
		Data  json.RawMessage
		Cases []struct{ Template string }
	}
	if err := json.NewDecoder(os.Stdin).Decode(&file); err != nil {
		panic(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(file.Data))
	decoder.UseNumber()
	var raw any
	if err := decoder.Decode(&raw); err != nil {
		panic(err)
	}
	dot := natural(raw)
	fmt.Printf("{\"data\": %s,\n\"cases\": [", file.Data)
	for i, each := range file.Cases {
		one := map[string]string{"template": each.Template}
		if text, err := render(each.Template, dot); err != nil {
			one["error"] = err.Error()
		} else {
			one["expected"] = text
		}
		encoded, _ := json.Marshal(one)
		if i > 0 {
			fmt.Print(",")
		}
		fmt.Printf("\n%s", encoded)
	}
	fmt.Println("\n]}")
}
