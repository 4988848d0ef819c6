package main

import (
	"runtime"
	"strconv"
	"unsafe"
)

var stats runtime.MemStats

// As JSON. Nothing here allocates, as long as there is room in text.
func appendStatistics(text []byte) []byte {
	add := func(name string, value uint64) {
		text = append(text, "  \""...)
		text = append(text, name...)
		text = append(text, "\": "...)
		text = strconv.AppendUint(text, value, 10)
		text = append(text, ",\n"...)
	}
	text = append(text, "{\n"...)
	add("heap_address", uint64(uintptr(unsafe.Pointer(&kept[0]))))
	add("Alloc", stats.Alloc)
	add("TotalAlloc", stats.TotalAlloc)
	add("Sys", stats.Sys)
	add("Mallocs", stats.Mallocs)
	add("Frees", stats.Frees)
	add("HeapAlloc", stats.HeapAlloc)
	add("HeapSys", stats.HeapSys)
	add("HeapIdle", stats.HeapIdle)
	add("HeapInuse", stats.HeapInuse)
	add("HeapReleased", stats.HeapReleased)
	add("HeapObjects", stats.HeapObjects)
	add("StackInuse", stats.StackInuse)
	add("StackSys", stats.StackSys)
	add("MSpanInuse", stats.MSpanInuse)
	add("MSpanSys", stats.MSpanSys)
	add("MCacheInuse", stats.MCacheInuse)
	add("MCacheSys", stats.MCacheSys)
	add("BuckHashSys", stats.BuckHashSys)
	add("GCSys", stats.GCSys)
	add("OtherSys", stats.OtherSys)
	add("NextGC", stats.NextGC)
	add("LastGC", stats.LastGC)
	add("PauseTotalNs", stats.PauseTotalNs)
	add("NumGC", uint64(stats.NumGC))
	add("NumForcedGC", uint64(stats.NumForcedGC))
	text = append(text, "  \"GCCPUFraction\": "...)
	text = strconv.AppendFloat(text, stats.GCCPUFraction, 'g', -1, 64)
	text = append(text, ",\n  \"pauses\": ["...)
	for i := uint32(0); i < stats.NumGC && i < 256; i++ {
		at := (stats.NumGC + 255 - i) % 256
		if i > 0 {
			text = append(text, ", "...)
		}
		text = append(text, "["...)
		text = strconv.AppendUint(text, stats.PauseEnd[at], 10)
		text = append(text, ", "...)
		text = strconv.AppendUint(text, stats.PauseNs[at], 10)
		text = append(text, "]"...)
	}
	text = append(text, "],\n  \"by_size\": ["...)
	for i := 1; i < len(stats.BySize); i++ {
		if i > 1 {
			text = append(text, ", "...)
		}
		for j, value := range [3]uint64{uint64(stats.BySize[i].Size), stats.BySize[i].Mallocs, stats.BySize[i].Frees} {
			if j == 0 {
				text = append(text, "["...)
			} else {
				text = append(text, ", "...)
			}
			text = strconv.AppendUint(text, value, 10)
		}
		text = append(text, "]"...)
	}
	return append(text, "]\n}\n"...)
}
