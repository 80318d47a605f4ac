//go:build race

package allocation

const raced = true
