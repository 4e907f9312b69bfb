//go:build unix && !linux

package gateway

import "syscall"

// attributes puts a process into a group of its own, so that it can be ended with all that it starts. Only Linux can
// also tie its life to that of this process.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
