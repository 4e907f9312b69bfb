package issuer

// StartAt is Start with a clock, Serve what it does once it listens.
var (
	StartAt = start
	Serve   = serve
)

// Wait blocks until the issuer has ended by itself.
func (i *Issuer) Wait() error {
	<-i.served
	return i.err
}

// FormOf, ParseKey, MaxKeyFile and MachineClient are the parts whose every input or answer a test goes through.
var (
	FormOf        = formOf
	ParseKey      = parseKey
	MaxKeyFile    = maxKeyFile
	MachineClient = machineClient()
)
