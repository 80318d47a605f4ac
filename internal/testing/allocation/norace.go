//go:build !race

package allocation

const raced = false
