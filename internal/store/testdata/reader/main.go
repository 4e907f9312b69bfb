// Command reader reads a parameter as the Lambda does, in a program that reflects on methods by names that no linker knows.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"

	"gatehouse/internal/store"
)

func main() {
	r, err := store.OpenReader(os.Args[1], os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(r.Get(context.Background(), os.Args[2]))
	fmt.Println(r.GetAll(context.Background(), os.Args[2:]))
	fmt.Println(reflect.ValueOf(r).MethodByName(os.Args[2]))
}
