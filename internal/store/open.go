package store

// maxKeys is how many keys one GetAll may ask for: the parts of a bundle, of a fallback and of a configuration, 200 each.
const maxKeys = 600

// OpenReader opens a store for reading by the function's environment ("NAME=value"). Nothing is read yet. It is all that
// the Lambda links: what writes is in internal/store/writer, and the AWS SDK's config package, which is there too, would
// make the binary 1.9 MB larger.
func OpenReader(address string, env []string) (Reader, error) {
	a, err := ParseAddress(address)
	if err != nil {
		return nil, err
	}
	if a.SSM {
		return openSSM(a, env)
	}
	return files{a}, nil
}
