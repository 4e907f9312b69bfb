//go:build unix && !linux

package moto

import "syscall"

// attributes puts the server into a group of its own. Only Linux can also tie its life to that of the test.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
