// Beside this file, a function may be declared whose body is elsewhere (reflect.gcbits).
