"""Visual instruction navigation: an agent that follows an instruction through rooms it sees from within."""
