module leaky_server

go 1.19
