module layout_probe

go 1.19
