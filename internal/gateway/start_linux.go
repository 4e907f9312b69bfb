package gateway

import "syscall"

// attributes puts a process into a group of its own, so that it can be ended with all that it starts, and has it killed
// should this process end without a word.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
