UPDATE reports SET format = replace(format, '+waivers', '+whole');
