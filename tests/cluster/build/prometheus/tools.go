//go:build tools

// Package tools pins the commands of the metrics store that the test cluster builds.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
