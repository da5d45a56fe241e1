// Reads YAML documents on standard input and fails if one of the Prometheus operator's kinds has an unknown or mistyped
// field. Documents of other kinds are passed over. It prints the number of documents that it has read.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	count, err := read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(count)
}

func read(source io.Reader) (int, error) {
	text, err := io.ReadAll(source)
	if err != nil {
		return 0, err
	}
	count := 0
	var failures []error
	for _, document := range strings.Split("\n"+string(text), "\n---\n") {
		var head struct {
			Kind string `json:"kind"`
		}
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			return 0, err
		}
		var target any
		switch head.Kind {
		case "ServiceMonitor":
			target = &monitoring.ServiceMonitor{}
		case "PrometheusRule":
			target = &monitoring.PrometheusRule{}
		default:
			continue
		}
		count++
		if err := yaml.UnmarshalStrict([]byte(document), target); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", head.Kind, err))
		}
	}
	return count, errors.Join(failures...)
}
