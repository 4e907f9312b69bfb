package moto

import "syscall"

// attributes puts the server into a group of its own, so that it is ended with all that it starts, and has it killed
// should the test end without a word.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
