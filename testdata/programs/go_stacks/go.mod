module go_stacks

go 1.19
