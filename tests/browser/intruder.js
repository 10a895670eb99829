// What a mistake of ours would let in: markup and a script of somebody else's.
() => {
  const place = document.createElement("div");
  place.id = "intruder";
  document.body.append(place);
  place.innerHTML = '<img src="data:x" onerror="window.ran = true">';
  const script = document.createElement("script");
  script.textContent = "window.ran = true";
  document.body.append(script);
}
