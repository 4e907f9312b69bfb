package bundle

// Contained is what keeps a panic of a library inside.
var Contained = contained
